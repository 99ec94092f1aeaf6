import { fileIdentity } from "../../shared/replica/ltx-file.ts";
import type { RestorePlan } from "../../shared/replica/restore-plan.ts";
import { encodeHex } from "../http/base64.ts";

const DIGEST_BYTES = 12;

/**
 * Names the content that a plan leads to: a digest of its TXID and of the keys and ETags of its
 * files, 24 hex digits. Two plans of one identity read the same objects.
 */
export async function identifyPlan({ txid, files }: RestorePlan): Promise<string> {
  const text = JSON.stringify([String(txid), files.map(({ key, etag }) => [key, etag])]);
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return encodeHex(new Uint8Array(digest, 0, DIGEST_BYTES));
}

/** Says whether two plans read the same objects, without the digest. */
export function isSamePlan(a: RestorePlan, b: RestorePlan): boolean {
  if (a === b) return true;
  return (
    a.txid === b.txid &&
    a.files.length === b.files.length &&
    a.files.every(({ key, etag }, index) => {
      const other = b.files[index];
      return other?.key === key && other.etag === etag;
    })
  );
}

/** Says whether `later` goes on from the newest file of `plan`: a later state of the same history. */
export function isLaterState(later: RestorePlan, plan: RestorePlan): boolean {
  const last = plan.files.slice(-1);
  return later.txid > plan.txid && isSameHistory(later, { ...plan, files: last });
}

/** Says whether two plans have a file in common: two histories of one path have none. */
export function isSameHistory(a: RestorePlan, b: RestorePlan): boolean {
  const known = new Set(a.files.map(fileIdentity));
  return b.files.some((file) => known.has(fileIdentity(file)));
}
