import { ReplicaError } from "../errors.ts";
import { parseInstant } from "../instant.ts";
import { toTxid } from "../ltx/txid.ts";
import type { RestoreTarget } from "./restore-plan.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  second: 1_000,
  m: 60_000,
  minute: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  d: 86_400_000,
  day: 86_400_000,
  w: 604_800_000,
  week: 604_800_000,
};

const FORMS =
  "latest, a TXID (16 hex digits, 0x…, txid:42), an instant (2026-11-24T10:00:00Z, unix seconds or milliseconds), or a time back from now (-5m, -2h, -1d, 5 minutes ago)";

/**
 * Reads a `ref`: any way to name one point in a database's history. Each form is unmistakable.
 *
 * A time becomes the exclusive bound of the planner: what is stamped at the instant itself is in.
 *
 * @throws {ReplicaError} `BAD_REF` when `text` is none of the forms, or TXID 0.
 */
export function parseRef(text: string, nowMs: number): RestoreTarget {
  if (text === "latest") return { kind: "latest" };
  return parseTxidRef(text) ?? parseTimeRef(text, nowMs) ?? refuse(text);
}

function parseTxidRef(text: string): RestoreTarget | undefined {
  const hex = /^(?:0x([0-9a-f]{1,16})|([0-9a-f]{16}))$/i.exec(text);
  if (hex) return { kind: "txid", txid: toTxid(BigInt(`0x${hex[1] ?? hex[2]}`)) };
  const decimal = /^txid:(\d{1,20})$/.exec(text);
  if (decimal) return { kind: "txid", txid: toTxid(BigInt(decimal[1] ?? "")) };
  return undefined;
}

function parseTimeRef(text: string, nowMs: number): RestoreTarget | undefined {
  const instant = parseInstant(text) ?? parseUnix(text) ?? parseRelative(text, nowMs);
  return instant === undefined ? undefined : { kind: "time", beforeMs: instant + 1 };
}

function parseUnix(text: string): number | undefined {
  if (/^\d{10}$/.test(text)) return Number(text) * 1_000;
  if (/^\d{13}$/.test(text)) return Number(text);
  return undefined;
}

function parseRelative(text: string, nowMs: number): number | undefined {
  const match =
    /^-(\d{1,9})([smhdw])$/.exec(text) ??
    /^(\d{1,9}) +(second|minute|hour|day|week)s? +ago$/i.exec(text);
  const unitMs = UNIT_MS[match?.[2]?.toLowerCase() ?? ""];
  if (unitMs === undefined) return undefined;
  const instant = nowMs - Number(match?.[1]) * unitMs;
  // Further back than a Date reaches, and so than a sentence could say.
  return Number.isNaN(new Date(instant).getTime()) ? undefined : instant;
}

function refuse(text: string): never {
  throw new ReplicaError("BAD_REF", `"${text}" names no point in time: write ${FORMS}`);
}
