/** `lock.json`: what it says, and whom it binds. Litestream's format, so that either sees the other's. */
import { formatInstant, parseInstant } from "../../shared/instant.ts";
import type { Etag } from "../../shared/storage/object-store.ts";

/** A lease holds for so long after it was written, in milliseconds; Litestream's time. */
export const LEASE_MS = 30_000;
/** Clocks of two machines may differ by so much before one takes the other's lease too early, in milliseconds. */
export const CLOCK_SLACK_MS = 5_000;

export interface LeaseDocument {
  /** Grows by one whenever another process takes the lease. */
  readonly generation: number;
  readonly expiresAtMs: number;
  /** `host:pid`. */
  readonly owner: string;
  /** Tells one write of ours from every other; Litestream writes none, and passes over it. */
  readonly nonce?: string | undefined;
}

/** What was found in the store. */
export interface FoundLease {
  readonly etag: Etag;
  /** Undefined when the object is no lease. */
  readonly document: LeaseDocument | undefined;
}

/** What the staging directory remembers of our last write: before it the lease had `etag`, after it `nonce`. */
export interface LeaseRecord {
  readonly etag: string | null;
  readonly nonce: string;
}

/** Writes a lease as it stands in the store. */
export function formatLease({ generation, expiresAtMs, owner, nonce }: LeaseDocument): Uint8Array {
  const expiresAt = formatInstant(expiresAtMs);
  return new TextEncoder().encode(
    `${JSON.stringify({ generation, expires_at: expiresAt, owner, nonce })}\n`,
  );
}

/** Reads a lease, Litestream's too; undefined when it is none. */
export function parseLease(bytes: Uint8Array): LeaseDocument | undefined {
  const fields = parseObject(new TextDecoder().decode(bytes));
  const { generation, expires_at: expiresAt, owner, nonce } = fields ?? {};
  const expiresAtMs = typeof expiresAt === "string" ? parseInstant(expiresAt) : undefined;
  if (typeof generation !== "number" || !Number.isSafeInteger(generation)) return undefined;
  if (expiresAtMs === undefined || typeof owner !== "string") return undefined;
  return { generation, expiresAtMs, owner, nonce: typeof nonce === "string" ? nonce : undefined };
}

/** Reads what `eddy.lease` holds; undefined when that is damaged: then it is as if it was not there. */
export function parseLeaseRecord(text: string): LeaseRecord | undefined {
  const { etag, nonce } = parseObject(text) ?? {};
  if (typeof nonce !== "string" || !(etag === null || typeof etag === "string")) return undefined;
  return { etag, nonce };
}

/** Says whether the lease was written last by whoever left `record` behind. */
export function isOwnLease(
  { etag, document }: FoundLease,
  record: LeaseRecord | undefined,
): boolean {
  if (!record) return false;
  return etag === record.etag || document?.nonce === record.nonce;
}

/** Says whether another's lease still binds us. An object that is no lease does, for as long as it is there. */
export function isLive({ document }: FoundLease, nowMs: number): boolean {
  return document === undefined || nowMs < document.expiresAtMs + CLOCK_SLACK_MS;
}

/** Whose lease it is and until when, and what somebody can do about it. */
export function describeLease(key: string, { document }: FoundLease, nowMs: number): string {
  if (!document) {
    return `"${key}" is in the store and is no lease: delete it when no other replicator writes to this path`;
  }
  const { owner, expiresAtMs } = document;
  const isBeyond = expiresAtMs - nowMs > LEASE_MS + CLOCK_SLACK_MS;
  const advice = isBeyond
    ? `that is further away than any lease reaches, so one of the two clocks is wrong: set it, or delete "${key}" when that replicator is gone`
    : "stop that one; when it is gone already, this one can start after that moment";
  return `the lease "${key}" belongs to ${owner} until ${formatInstant(expiresAtMs)}: ${advice}`;
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    // Cut off, or another's: no JSON is an answer here.
    return undefined;
  }
}
