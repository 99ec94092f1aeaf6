import { ReplicaError } from "../errors.ts";
import type { Etag, Metadata, ObjectInfo, PutCondition, PutOptions } from "./object-store.ts";
import type { S3Answer, S3Client } from "./s3-client.ts";
import { errorOfFailure } from "./s3-error.ts";
import { etagOf, getObject, headObject } from "./s3-get.ts";

/** Statuses that say that a condition does not hold; 409: another write was under way. */
const CONFLICT_STATUSES = [409, 412];

/**
 * Stores `bytes` by one PUT.
 *
 * A PUT whose answer was lost may have been carried out, and then its repetition finds its own
 * object in the way. So a conflict after a failure is looked into: when the key holds these very
 * bytes, the write counts as ours. Another writer's identical bytes cannot be told from our own.
 *
 * A service without conditional writes (501) is asked for the key right before: two writers at that
 * moment overwrite each other then.
 *
 * @throws {ReplicaError} `STORE_CONFLICT` when `onlyIf` does not hold, `BAD_CONFIG` when the service
 *   cannot check it in the same step and `mustBeAtomic` is set.
 */
export async function putObject(
  client: S3Client,
  key: string,
  bytes: Uint8Array,
  options: PutOptions & { readonly headers: Record<string, string> },
): Promise<Etag> {
  const { metadata, onlyIf, mustBeAtomic, signal } = options;
  const what = `write "${key}"`;
  const plain = { ...options.headers, ...metadataHeaders(metadata) };
  const headers = { ...plain, ...conditionHeaders(onlyIf) };
  return client.retry(signal, async (failures) => {
    const request = { method: "PUT", key, headers, body: bytes, what, signal } as const;
    let answer = await client.sendOnce(request);
    if (onlyIf !== undefined && answer.status === 501) {
      if (mustBeAtomic) throw unconditional(key, answer);
      await expectCondition(client, key, onlyIf, signal);
      answer = await client.sendOnce({ ...request, headers: plain });
    }
    if (answer.failure === undefined) return etagOf(answer.headers, what);
    if (onlyIf === undefined || !isConflict(answer.failure.status, onlyIf)) {
      throw errorOfFailure(answer.failure, client.address, what);
    }
    const own = failures > 0 ? await etagOfSameBytes(client, key, bytes, signal) : undefined;
    if (own !== undefined) return own;
    throw conflictOf(key, onlyIf);
  });
}

/** Says whether an answer's status means that `onlyIf` does not hold. */
export function isConflict(status: number, onlyIf: PutCondition): boolean {
  // If-Match on a key that is not there is 404 with some services, 412 with others.
  return CONFLICT_STATUSES.includes(status) || (status === 404 && "etag" in onlyIf);
}

/** The error for a condition that does not hold. */
export function conflictOf(key: string, onlyIf: PutCondition): ReplicaError {
  const why = "absent" in onlyIf ? "exists already" : "was changed or removed meanwhile";
  return new ReplicaError("STORE_CONFLICT", `"${key}" ${why}, so it was not written`);
}

/**
 * Looks whether `onlyIf` holds at this moment.
 *
 * @throws {ReplicaError} `STORE_CONFLICT` when it does not.
 */
export async function expectCondition(
  client: S3Client,
  key: string,
  onlyIf: PutCondition,
  signal: AbortSignal | undefined,
): Promise<void> {
  const etag = (await headObject(client, key, { signal }))?.etag;
  const expected = "absent" in onlyIf ? undefined : onlyIf.etag;
  if (etag !== expected) throw conflictOf(key, onlyIf);
}

/** Headers that make a service check `onlyIf` itself. */
export function conditionHeaders(onlyIf: PutCondition | undefined): Record<string, string> {
  if (onlyIf === undefined) return {};
  return "absent" in onlyIf ? { "if-none-match": "*" } : { "if-match": `"${onlyIf.etag}"` };
}

/** User metadata as headers, which hold printable ASCII only. */
export function metadataHeaders(metadata: Metadata = {}): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(metadata)) {
    if (!/^[a-zA-Z0-9-]+$/.test(name) || !/^[\x20-\x7e]*$/.test(value) || value.trim() !== value) {
      throw new ReplicaError(
        "BAD_REQUEST",
        `metadata "${name}" cannot be sent as a header: its value is to be printable ASCII`,
      );
    }
    headers[`x-amz-meta-${name.toLowerCase()}`] = value;
  }
  return headers;
}

/** What `put` answers; the time is the writer's, because S3's answer has none. */
export function putInfo(key: string, sizeBytes: number, etag: Etag, nowMs: number): ObjectInfo {
  return { key, sizeBytes, uploadedAtMs: nowMs, etag };
}

function unconditional(key: string, { failure }: S3Answer): ReplicaError {
  const answer = [failure?.status, failure?.code].filter(Boolean).join(" ");
  return new ReplicaError(
    "BAD_CONFIG",
    `cannot write "${key}": the service knows no conditional writes (${answer})`,
  );
}

async function etagOfSameBytes(
  client: S3Client,
  key: string,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Etag | undefined> {
  const head = await headObject(client, key, { signal });
  if (head === undefined || head.totalBytes !== bytes.length) return undefined;
  // The ETag of one PUT is its MD5, unless the service encrypts: then only the bytes tell.
  if (client.md5 !== undefined && head.etag === hex(client.md5(bytes))) return head.etag;
  const stored = await getObject(client, key, { ifMatch: head.etag, signal });
  const same = stored?.bytes.every((byte, index) => byte === bytes[index]) ?? false;
  return same ? head.etag : undefined;
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
