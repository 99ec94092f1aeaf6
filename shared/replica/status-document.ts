/** `eddy/status.json` below a replica's path: who writes it, how far it is, and what is kept. */
import { formatInstant, parseInstant } from "../instant.ts";
import { formatTxid, parseTxid, type Txid } from "../ltx/txid.ts";
import { formatReplicaPrefix, type Replica } from "./ltx-key.ts";

export interface StatusDocument {
  /** `host:pid`. */
  readonly writer: string;
  /** When it was written, milliseconds since the epoch. */
  readonly atMs: number;
  /** The newest TXID in the store at that time. */
  readonly txid: Txid | undefined;
  readonly retention: Retention;
}

/** What a reader may count on; undefined: kept for ever. */
export interface Retention {
  /** Each second of so long can be restored, in seconds. */
  readonly l0Seconds: number | undefined;
  /** Snapshots, and with them coarser moments, are kept for so long, in seconds. */
  readonly snapshotSeconds: number | undefined;
}

/** Its key in the store of `replica`. */
export function statusKey(replica: Pick<Replica, "path" | "layout">): string {
  return `${formatReplicaPrefix(replica)}eddy/status.json`;
}

/** Writes it as it stands in the store: times in RFC 3339, spans in seconds, null for what there is not. */
export function formatStatus({ writer, atMs, txid, retention }: StatusDocument): Uint8Array {
  const document = {
    writer,
    at: formatInstant(atMs),
    txid: txid === undefined ? null : formatTxid(txid),
    retention: {
      l0: retention.l0Seconds ?? null,
      snapshot: retention.snapshotSeconds ?? null,
    },
  };
  return new TextEncoder().encode(`${JSON.stringify(document)}\n`);
}

/** Reads one; undefined when it is none. */
export function parseStatus(bytes: Uint8Array): StatusDocument | undefined {
  const document = parseObject(new TextDecoder().decode(bytes));
  const { writer, at, txid, retention } = document ?? {};
  const atMs = typeof at === "string" ? parseInstant(at) : undefined;
  if (typeof writer !== "string" || atMs === undefined) return undefined;
  if (typeof retention !== "object" || retention === null) return undefined;
  const { l0, snapshot } = retention as Readonly<Record<string, unknown>>;
  return {
    writer,
    atMs,
    txid: typeof txid === "string" ? parseTxid(txid) : undefined,
    retention: { l0Seconds: secondsOf(l0), snapshotSeconds: secondsOf(snapshot) },
  };
}

function secondsOf(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 ? value : undefined;
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null
      ? (value as Readonly<Record<string, unknown>>)
      : undefined;
  } catch {
    // Cut off or no JSON at all: the caller goes on as if there was none.
    return undefined;
  }
}
