import { ReplicaError, throwIfAborted } from "../errors.ts";
import type { Etag, PutOptions } from "./object-store.ts";
import { PassingFailure } from "./retry.ts";
import type { S3Client, S3Request } from "./s3-client.ts";
import { errorOfFailure, parseFailure } from "./s3-error.ts";
import { etagOf, headObject } from "./s3-get.ts";
import { parseAnswer } from "./s3-listing.ts";
import {
  conditionHeaders,
  conflictOf,
  expectCondition,
  isConflict,
  metadataHeaders,
} from "./s3-put.ts";
import { escapeXml, textOf } from "./xml.ts";

/** R2 and S3 take no more. */
export const PARTS_MAX = 10_000;

/** Each holds its bytes in memory, and R2 asks for restraint. */
const PARTS_IN_FLIGHT_MAX = 2;

interface Upload {
  readonly key: string;
  readonly id: string;
  readonly signal: AbortSignal;
}

export interface MultipartOptions extends PutOptions {
  readonly headers: Record<string, string>;
  /** Told of each part that the store has and whose bytes are not needed any more. */
  readonly onSent?: ((part: Uint8Array) => void) | undefined;
}

/** What has gone up: for the list of parts, and to know the object again. */
interface UploadedParts {
  readonly etags: string[];
  sizeBytes: number;
}

/**
 * Stores an object in parts, at most two of them in flight; nothing of it is visible before the
 * end. When anything fails or the signal fires, the upload is given up, so no parts stay behind
 * (but for a process that is killed: a lifecycle rule of the bucket clears those).
 *
 * A condition is met by a look at the key right before the last request, by headers on that request for services that check them there (R2 does not), and
 * by another look after it. With R2 a window is left: another writer who stores the key between the
 * first look and the last request is overwritten.
 *
 * @param parts Equal but for the last, which may be smaller: R2 demands it.
 * @throws {ReplicaError} `STORE_CONFLICT` when `onlyIf` does not hold.
 */
export async function putMultipart(
  client: S3Client,
  key: string,
  parts: AsyncIterable<Uint8Array>,
  options: MultipartOptions,
): Promise<{ etag: Etag; sizeBytes: number }> {
  const { onlyIf, signal } = options;
  const id = await createUpload(client, key, options);
  // One failure, or the caller's signal, ends the parts that are still in flight.
  const controller = new AbortController();
  const forward = () => controller.abort(signal?.reason);
  signal?.addEventListener("abort", forward, { once: true });
  if (signal?.aborted) forward();
  const upload: Upload = { key, id, signal: controller.signal };
  try {
    const uploaded = await uploadParts(client, upload, parts, {
      controller,
      onSent: options.onSent,
    });
    await options.beforeComplete?.();
    if (onlyIf) await expectCondition(client, key, onlyIf, controller.signal);
    const etag = await completeUpload(client, upload, uploaded, onlyIf);
    if (onlyIf) await expectCondition(client, key, { etag }, controller.signal);
    return { etag, sizeBytes: uploaded.sizeBytes };
  } catch (error) {
    controller.abort(error);
    await abortUpload(client, key, id);
    throwIfAborted(signal);
    throw error;
  } finally {
    signal?.removeEventListener("abort", forward);
  }
}

async function createUpload(
  client: S3Client,
  key: string,
  { metadata, headers, signal }: PutOptions & { readonly headers: Record<string, string> },
): Promise<string> {
  const what = `begin to write "${key}"`;
  const answer = await client.send({
    method: "POST",
    key,
    query: { uploads: "" },
    headers: { ...headers, ...metadataHeaders(metadata) },
    what,
    signal,
  });
  if (answer.failure) throw errorOfFailure(answer.failure, client.address, what);
  const text = new TextDecoder().decode(answer.body);
  const id = textOf(parseAnswer(text, `${client.address.endpoint} answered`), "UploadId");
  if (id) return id;
  throw new ReplicaError("R2_ERROR", `cannot ${what}: the answer names no upload`);
}

async function uploadParts(
  client: S3Client,
  upload: Upload,
  parts: AsyncIterable<Uint8Array>,
  { controller, onSent }: Pick<MultipartOptions, "onSent"> & { controller: AbortController },
): Promise<UploadedParts> {
  const uploaded: UploadedParts = { etags: [], sizeBytes: 0 };
  const inFlight = new Set<Promise<void>>();
  let failure: unknown;
  const send = async (index: number, part: Uint8Array) => {
    try {
      uploaded.etags[index] = await uploadPart(client, upload, index + 1, part);
      onSent?.(part);
    } catch (error) {
      failure ??= error;
      controller.abort(error);
    }
  };
  let count = 0;
  try {
    for await (const part of parts) {
      if (failure !== undefined) break;
      throwIfAborted(upload.signal);
      if (count === PARTS_MAX) throw tooManyParts(upload.key, uploaded.sizeBytes);
      uploaded.sizeBytes += part.length;
      const sending: Promise<void> = send(count++, part).finally(() => inFlight.delete(sending));
      inFlight.add(sending);
      if (inFlight.size >= PARTS_IN_FLIGHT_MAX) await Promise.race(inFlight);
    }
  } catch (error) {
    failure ??= error;
    controller.abort(error);
  }
  await Promise.all(inFlight);
  if (failure !== undefined) throw failure;
  return uploaded;
}

async function uploadPart(
  client: S3Client,
  { key, id, signal }: Upload,
  partNumber: number,
  body: Uint8Array,
): Promise<Etag> {
  const what = `write part ${partNumber} of "${key}"`;
  const query = { partNumber: String(partNumber), uploadId: id };
  const answer = await client.send({ method: "PUT", key, query, body, what, signal });
  if (answer.failure) throw errorOfFailure(answer.failure, client.address, what);
  return etagOf(answer.headers, what);
}

/**
 * Makes the object of its parts. An answer that got lost is looked into, because the upload is
 * gone once it is complete: an object of this size and number of parts is taken for ours.
 */
function completeUpload(
  client: S3Client,
  { key, id, signal }: Upload,
  uploaded: UploadedParts,
  onlyIf: PutOptions["onlyIf"],
): Promise<Etag> {
  const what = `finish writing "${key}"`;
  const parts = uploaded.etags.map(
    (etag, index) =>
      `<Part><PartNumber>${index + 1}</PartNumber><ETag>"${escapeXml(etag)}"</ETag></Part>`,
  );
  const xml = `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.join("")}</CompleteMultipartUpload>`;
  const xmlHeaders = { "content-type": "application/xml" };
  const request: S3Request = {
    method: "POST",
    key,
    query: { uploadId: id },
    headers: { ...xmlHeaders, ...conditionHeaders(onlyIf) },
    body: new TextEncoder().encode(xml),
    what,
    signal,
  };
  return client.retry(signal, async (failures) => {
    let answer = await client.sendOnce(request);
    // A service without conditional writes: the looks before and after are what is left.
    if (answer.status === 501) answer = await client.sendOnce({ ...request, headers: xmlHeaders });
    if (answer.failure === undefined) return readCompletion(client, answer.body, what);
    const own = failures > 0 ? await etagOfUpload(client, key, uploaded, signal) : undefined;
    if (own !== undefined) return own;
    if (onlyIf && isConflict(answer.failure.status, onlyIf)) throw conflictOf(key, onlyIf);
    throw errorOfFailure(answer.failure, client.address, what);
  });
}

/** A service that needs long answers 200 at once, and says only in the body how it went. */
function readCompletion(client: S3Client, body: Uint8Array, what: string): Etag {
  const text = new TextDecoder().decode(body);
  const failure = parseFailure(200, text);
  if (failure.code !== undefined) {
    throw new PassingFailure(errorOfFailure(failure, client.address, what));
  }
  const etag = textOf(parseAnswer(text, `${client.address.endpoint} answered`), "ETag");
  if (etag) return etag.replaceAll('"', "") as Etag;
  throw new ReplicaError("R2_ERROR", `cannot ${what}: the answer has no ETag`);
}

async function etagOfUpload(
  client: S3Client,
  key: string,
  { etags, sizeBytes }: UploadedParts,
  signal: AbortSignal,
): Promise<Etag | undefined> {
  const head = await headObject(client, key, { signal });
  const same = head?.totalBytes === sizeBytes && head.etag.endsWith(`-${etags.length}`);
  return same ? head.etag : undefined;
}

async function abortUpload(client: S3Client, key: string, id: string): Promise<void> {
  const what = `give up writing "${key}"`;
  // What made it fail is the error to tell; this one would only hide it.
  await client
    .send({ method: "DELETE", key, query: { uploadId: id }, what })
    .catch(() => undefined);
}

function tooManyParts(key: string, sizeBytes: number): ReplicaError {
  return new ReplicaError(
    "R2_ERROR",
    `"${key}" is larger than ${sizeBytes} bytes, which is what ${PARTS_MAX} parts hold: say how large it will be (sizeBytesMax), or set a larger partSize`,
  );
}
