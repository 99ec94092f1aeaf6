import { ReplicaError, throwIfAborted } from "../errors.ts";
import { joinChunks } from "./bytes.ts";
import { type Deadline, startDeadline } from "./deadline.ts";
import type { Digests } from "./digests.ts";
import type { HttpBodyReader, HttpFetch, HttpHeaders, HttpResponse } from "./http.ts";
import { PassingFailure, type RetryPolicy, withRetries } from "./retry.ts";
import { formatS3Url, type S3Address } from "./s3-address.ts";
import { errorOfConnection, errorOfFailure, parseFailure, type S3Failure } from "./s3-error.ts";
import type { S3Signer } from "./s3-sign.ts";

const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/** Beyond this an error's body is not read; S3's are under 1 KiB. */
const FAILURE_BYTES_MAX = 64 * 1024;
/** A body's progress on its way up cannot be seen; slower than this it counts as standing still. */
const UPLOAD_BYTES_PER_MS_MIN = 32;
/** Larger bodies carry no MD5: it takes four times as long as SHA-256, and holds up everything else meanwhile. */
const MD5_BYTES_MAX = 1024 * 1024;
/** Answers about the request's condition, which the caller has to judge; 501: the service knows none. */
const CONDITIONAL_STATUSES = [404, 409, 412, 416, 501];

export interface S3ClientOptions {
  readonly address: S3Address;
  readonly signer: S3Signer;
  readonly fetch: HttpFetch;
  readonly policy: RetryPolicy;
  /** Longest time in which nothing moves, in milliseconds. */
  readonly idleMs: number;
  /** MD5 of a body, 16 bytes: sent as Content-MD5 with small ones, so that the service checks what it received. */
  readonly md5: ((bytes: Uint8Array) => Uint8Array) | undefined;
  readonly digests: Digests;
  /** Sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  /** Sign a digest of each body, also where Content-MD5 or TLS protect it already. */
  readonly signPayload: boolean;
}

export interface S3Request {
  readonly method: "GET" | "HEAD" | "PUT" | "POST" | "DELETE";
  /** None: the bucket itself. */
  readonly key?: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** For sentences: `write "key"`. */
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

export interface S3Answer {
  readonly status: number;
  readonly headers: HttpHeaders;
  /** Set for 404, 409, 412, 416 and 501; other failures are thrown. */
  readonly failure: S3Failure | undefined;
  /**
   * The body's pieces. Left early, the connection is dropped.
   *
   * @throws {PassingFailure} When the body breaks off.
   */
  chunks(): AsyncGenerator<Uint8Array, void, undefined>;
}

/** Signs requests, sends them, and tells failures that may pass from those that do not. */
export class S3Client {
  readonly address: S3Address;
  readonly md5: ((bytes: Uint8Array) => Uint8Array) | undefined;
  readonly #options: S3ClientOptions;

  constructor(options: S3ClientOptions) {
    this.address = options.address;
    this.md5 = options.md5;
    this.#options = options;
  }

  /** Repeats `attempt` as long as what it throws may pass. */
  retry<T>(signal: AbortSignal | undefined, attempt: (failures: number) => Promise<T>): Promise<T> {
    return withRetries(this.#options.policy, signal, attempt);
  }

  /** Sends a request, with retries, and reads the whole body of its answer. */
  send(request: S3Request): Promise<S3Answer & { readonly body: Uint8Array }> {
    return this.retry(request.signal, () => this.sendOnce(request));
  }

  /** As `send`, once: throws `PassingFailure` where it might succeed another time. */
  async sendOnce(request: S3Request): Promise<S3Answer & { readonly body: Uint8Array }> {
    const answer = await this.exchange(request);
    const chunks: Uint8Array[] = [];
    for await (const chunk of answer.chunks()) chunks.push(chunk);
    return { ...answer, body: joinChunks(chunks) };
  }

  /**
   * Sends a request once. The answer's body is still to be read: whoever does not read it must
   * leave `chunks()` at once, or the connection stays taken.
   *
   * @throws {PassingFailure} No answer, 5xx, 429 or 408.
   * @throws {ReplicaError} Any other failure that is not about the request's condition.
   */
  async exchange(request: S3Request): Promise<S3Answer> {
    const uploadMs = (request.body?.length ?? 0) / UPLOAD_BYTES_PER_MS_MIN;
    const deadline = startDeadline(this.#options.idleMs + uploadMs, request.signal);
    try {
      const response = await this.#fetch(request, deadline);
      if (response.status < 300) return this.#success(request, response, deadline);
      const body = await this.#readFailure(request, response, deadline);
      deadline.stop();
      return this.#judge(request, response, parseFailure(response.status, body));
    } catch (error) {
      deadline.stop();
      throw error;
    }
  }

  async #fetch(request: S3Request, deadline: Deadline): Promise<HttpResponse> {
    const { method, key, query, body, signal } = request;
    // Taken out: called as a method, the Workers' `fetch` refuses its `this`.
    const { fetch } = this.#options;
    const url = formatS3Url(this.address, key, query);
    const headers = await this.#headersOf(request, url);
    throwIfAborted(signal);
    try {
      return await fetch(url, {
        method,
        headers,
        // A view would be copied by `fetch` anyway; its type allows no shared memory.
        ...(body !== undefined && { body: body as Uint8Array<ArrayBuffer> }),
        redirect: "manual",
        signal: deadline.signal,
      });
    } catch (error) {
      throw this.#broken(error, request, deadline);
    }
  }

  async #headersOf(request: S3Request, url: string): Promise<Record<string, string>> {
    const { md5, digests, signPayload, signer } = this.#options;
    const { method, body } = request;
    // Compressed on its way, a body's length would say nothing.
    const headers: Record<string, string> = {
      "accept-encoding": "identity",
      ...this.#options.headers,
      ...request.headers,
    };
    if (body === undefined) return signer.sign({ method, url, headers, payloadHash: EMPTY_SHA256 });
    const isSmall = body.length <= MD5_BYTES_MAX;
    if (md5 !== undefined && isSmall) headers["content-md5"] = base64(md5(body));
    const isProtected = (md5 !== undefined && isSmall) || url.startsWith("https:");
    const isSigned = signPayload || !isProtected;
    const payloadHash = isSigned ? hex(await digests.sha256(body)) : "UNSIGNED-PAYLOAD";
    return signer.sign({ method, url, headers, payloadHash });
  }

  #success(request: S3Request, response: HttpResponse, deadline: Deadline): S3Answer {
    const { status, headers } = response;
    const broken = (error: unknown) => this.#broken(error, request, deadline);
    const chunks = () => readBody(response, deadline, broken);
    return { status, headers, failure: undefined, chunks };
  }

  async #readFailure(
    request: S3Request,
    response: HttpResponse,
    deadline: Deadline,
  ): Promise<string> {
    const broken = (error: unknown) => this.#broken(error, request, deadline);
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of readBody(response, deadline, broken)) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > FAILURE_BYTES_MAX) break;
    }
    return new TextDecoder().decode(joinChunks(chunks));
  }

  #judge(request: S3Request, { status, headers }: HttpResponse, failure: S3Failure): S3Answer {
    const error = errorOfFailure(failure, this.address, request.what);
    // 400 RequestTimeout: the body came too slowly. 501 is for what is not implemented.
    const passes =
      (status >= 500 && status !== 501) ||
      [408, 429].includes(status) ||
      failure.code === "RequestTimeout";
    if (passes) throw new PassingFailure(error, retryAfterMs(headers));
    const missing = failure.code === "NoSuchBucket";
    if (!CONDITIONAL_STATUSES.includes(status) || missing) throw error;
    return { status, headers, failure, chunks: noChunks };
  }

  #broken(error: unknown, request: S3Request, deadline: Deadline): Error {
    if (request.signal?.aborted && !deadline.expired) {
      return new ReplicaError("ABORTED", "the operation was cancelled", { cause: error });
    }
    const cause = deadline.expired ? deadline.signal.reason : error;
    return new PassingFailure(errorOfConnection(cause, this.address, request.what));
  }
}

async function* readBody(
  response: HttpResponse,
  deadline: Deadline,
  broken: (error: unknown) => Error,
): AsyncGenerator<Uint8Array, void, undefined> {
  const reader: HttpBodyReader | undefined = response.body?.getReader();
  if (reader === undefined) {
    deadline.stop();
    return;
  }
  let ended = false;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error: unknown) => {
        ended = true;
        throw broken(error);
      });
      if (done) {
        ended = true;
        return;
      }
      deadline.extend();
      if (value !== undefined) yield value;
    }
  } finally {
    deadline.stop();
    // The rest is not wanted, so neither is the news that it will not come.
    if (!ended) await reader.cancel().catch(() => undefined);
  }
}

async function* noChunks(): AsyncGenerator<Uint8Array, void, undefined> {}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** For short values: digests. */
function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

function retryAfterMs(headers: HttpHeaders): number {
  const seconds = Number(headers.get("retry-after"));
  return Number.isFinite(seconds) ? seconds * 1000 : 0;
}
