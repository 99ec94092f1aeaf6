import { ReplicaError } from "../errors.ts";
import { isEmptyRange, resolveRange } from "./byte-range.ts";
import { joinChunks } from "./bytes.ts";
import type { HttpHeaders } from "./http.ts";
import type { ByteRange, Etag, GetOptions, Metadata, StoredBytes } from "./object-store.ts";
import { PassingFailure } from "./retry.ts";
import type { S3Answer, S3Client } from "./s3-client.ts";
import { errorOfFailure } from "./s3-error.ts";

const METADATA_PREFIX = "x-amz-meta-";

/** What HEAD tells of an object. */
export interface S3Head {
  readonly totalBytes: number;
  readonly etag: Etag;
  readonly metadata: Metadata;
}

/** What has arrived of an object before its connection broke. */
interface ReceivedBody extends S3Head {
  /** Where in the object the first byte lies. */
  readonly offset: number;
  /** Bytes that the answer promised. */
  readonly length: number;
  readonly chunks: Uint8Array[];
  receivedBytes: number;
}

/** Looks at an object; undefined when there is no such key. */
export async function headObject(
  client: S3Client,
  key: string,
  { ifMatch, signal }: GetOptions = {},
): Promise<S3Head | undefined> {
  const what = `look at "${key}"`;
  const answer = await client.send({ method: "HEAD", key, what, signal });
  if (answer.status === 404) return missing(client, answer, what);
  if (answer.failure) throw errorOfFailure(answer.failure, client.address, what);
  const head = headOf(answer.headers, what);
  if (ifMatch !== undefined && head.etag !== ifMatch) throw otherContent(key);
  return head;
}

/**
 * Reads an object or a range of it. A body that breaks off is taken up where it ended, provided
 * that the object is still the same; otherwise it is read from its beginning.
 */
export async function getObject(
  client: S3Client,
  key: string,
  options: GetOptions,
): Promise<StoredBytes | undefined> {
  const { range, signal } = options;
  if (isEmptyRange(range)) return getNothing(client, key, options);
  let received: ReceivedBody | undefined;
  const stored = await client.retry(signal, async () => {
    const resumed = received;
    const what = `read "${key}"`;
    const headers = headersOf(options, resumed);
    const answer = await client.exchange({ method: "GET", key, headers, what, signal });
    if (answer.status !== 206) received = undefined;
    if (answer.status === 404) return missing(client, answer, what);
    if (answer.status === 416) return "beyond" as const;
    if (answer.status === 412) throw resumed ? changed(key) : otherContent(key);
    if (answer.failure) throw errorOfFailure(answer.failure, client.address, what);
    received ??= beginBody(answer, range, what);
    return readInto(received, answer, range, key);
  });
  return stored === "beyond" ? getNothing(client, key, options) : stored;
}

/** The entity tag of an answer, without its quotes. */
export function etagOf(headers: HttpHeaders, what: string): Etag {
  const etag = headers.get("etag");
  if (etag === null) throw new ReplicaError("R2_ERROR", `cannot ${what}: the answer has no ETag`);
  return etag.replace(/^(?:W\/)?"?|"$/g, "") as Etag;
}

async function readInto(
  received: ReceivedBody,
  answer: S3Answer,
  range: ByteRange | undefined,
  key: string,
): Promise<StoredBytes> {
  for await (const chunk of answer.chunks()) {
    received.chunks.push(chunk);
    received.receivedBytes += chunk.length;
  }
  const { chunks, receivedBytes, length, totalBytes, etag, metadata } = received;
  if (receivedBytes !== length) {
    const message = `"${key}" ended after ${receivedBytes} bytes of ${length}`;
    throw new PassingFailure(new ReplicaError("R2_ERROR", message));
  }
  const bytes = joinChunks(chunks);
  if (length < totalBytes || range === undefined) return { bytes, totalBytes, etag, metadata };
  // The whole object, which is what a service without ranges answers: the range is cut out here.
  const wanted = resolveRange(range, totalBytes);
  const cut = bytes.subarray(wanted.offset, wanted.offset + wanted.length);
  return { bytes: cut, totalBytes, etag, metadata };
}

function beginBody(answer: S3Answer, range: ByteRange | undefined, what: string): ReceivedBody {
  const { status, headers } = answer;
  const head = headOf(headers, what);
  const begun = { ...head, chunks: [], receivedBytes: 0 };
  if (status !== 206) return { ...begun, offset: 0, length: head.totalBytes };
  const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(headers.get("content-range") ?? "");
  if (match === null || range === undefined) {
    throw new ReplicaError("R2_ERROR", `cannot ${what}: the answer does not say which range it is`);
  }
  const [offset, last, totalBytes] = match.slice(1).map(Number);
  return { ...begun, totalBytes, offset, length: last - offset + 1 };
}

function headersOf(
  { range, ifMatch }: GetOptions,
  resumed: ReceivedBody | undefined,
): Record<string, string> {
  if (resumed !== undefined) {
    const { offset, length, receivedBytes, etag } = resumed;
    return {
      range: `bytes=${offset + receivedBytes}-${offset + length - 1}`,
      "if-match": `"${etag}"`,
    };
  }
  return {
    ...(range !== undefined && { range: formatRange(range) }),
    ...(ifMatch !== undefined && { "if-match": `"${ifMatch}"` }),
  };
}

function formatRange(range: ByteRange): string {
  if ("suffix" in range) return `bytes=-${range.suffix}`;
  return `bytes=${range.offset}-${range.offset + range.length - 1}`;
}

async function getNothing(
  client: S3Client,
  key: string,
  options: GetOptions,
): Promise<StoredBytes | undefined> {
  const head = await headObject(client, key, options);
  return head && { ...head, bytes: new Uint8Array(0) };
}

function headOf(headers: HttpHeaders, what: string): S3Head {
  const totalBytes = Number(headers.get("content-length") ?? Number.NaN);
  if (!Number.isSafeInteger(totalBytes)) {
    throw new ReplicaError("R2_ERROR", `cannot ${what}: the answer has no Content-Length`);
  }
  const metadata: Record<string, string> = {};
  headers.forEach((value, name) => {
    if (name.startsWith(METADATA_PREFIX)) metadata[name.slice(METADATA_PREFIX.length)] = value;
  });
  return { totalBytes, etag: etagOf(headers, what), metadata };
}

/** Not there: undefined, unless the service says that something else is missing. */
function missing(client: S3Client, { failure }: S3Answer, what: string): undefined {
  const code = failure?.code ?? "NoSuchKey";
  if (failure && code !== "NoSuchKey") throw errorOfFailure(failure, client.address, what);
  return undefined;
}

function changed(key: string): PassingFailure {
  const message = `"${key}" was replaced while it was read`;
  return new PassingFailure(new ReplicaError("R2_ERROR", message));
}

function otherContent(key: string): ReplicaError {
  return new ReplicaError("STORE_CONFLICT", `"${key}" holds other content than was expected`);
}
