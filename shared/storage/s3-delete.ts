import { ReplicaError } from "../errors.ts";
import { STORE_REQUESTS_MAX } from "../limits.ts";
import type { S3Client } from "./s3-client.ts";
import { errorOfFailure } from "./s3-error.ts";
import { parseAnswer } from "./s3-listing.ts";
import { escapeXml, textOf } from "./xml.ts";

/** Keys in one DeleteObjects, as S3 bounds it. */
const BATCH_KEYS_MAX = 1000;

/**
 * Deletes objects: by batches where MD5 is at hand, since DeleteObjects demands Content-MD5, else
 * one by one.
 *
 * @throws {ReplicaError} When any key could not be deleted; the others may be gone.
 */
export async function deleteObjects(
  client: S3Client,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const inBatches = client.md5 !== undefined && keys.length > 1;
  const batched = inBatches ? keys.filter(survivesXml) : [];
  const single = inBatches ? keys.filter((key) => !survivesXml(key)) : keys;
  for (let index = 0; index < batched.length; index += BATCH_KEYS_MAX) {
    await deleteBatch(client, batched.slice(index, index + BATCH_KEYS_MAX), signal);
  }
  const queue = single.values();
  const work = async () => {
    for (const key of queue) await deleteOne(client, key, signal);
  };
  await Promise.all(Array.from({ length: STORE_REQUESTS_MAX }, work));
}

async function deleteOne(
  client: S3Client,
  key: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const what = `delete "${key}"`;
  const { failure } = await client.send({ method: "DELETE", key, what, signal });
  if (failure && failure.status !== 404) throw errorOfFailure(failure, client.address, what);
}

async function deleteBatch(
  client: S3Client,
  keys: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const what = `delete ${keys.length} objects`;
  const entries = keys.map((key) => `<Object><Key>${escapeXml(key)}</Key></Object>`).join("");
  const xml = `<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>${entries}</Delete>`;
  const answer = await client.send({
    method: "POST",
    query: { delete: "" },
    headers: { "content-type": "application/xml" },
    body: new TextEncoder().encode(xml),
    what,
    signal,
  });
  if (answer.failure) throw errorOfFailure(answer.failure, client.address, what);
  const text = new TextDecoder().decode(answer.body);
  const result = parseAnswer(text, `${client.address.endpoint} answered`);
  const errors = result.children
    .filter(({ name }) => name === "Error")
    .filter((element) => textOf(element, "Code") !== "NoSuchKey");
  if (errors.length === 0) return;
  const [first] = errors;
  const code = textOf(first, "Code") ?? "no code";
  throw new ReplicaError(
    code === "AccessDenied" ? "STORE_DENIED" : "R2_ERROR",
    `cannot ${what} in bucket "${client.address.bucket}" at ${client.address.endpoint}: ${errors.length} of them were refused, the first "${textOf(first, "Key") ?? ""}": ${code} "${textOf(first, "Message") ?? ""}"`,
  );
}

/** XML has no place for control characters, and some readers trim what stands between two tags. */
function survivesXml(key: string): boolean {
  // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
  return key.trim() === key && !/[\u0000-\u001f\ufffe\uffff]/.test(key);
}
