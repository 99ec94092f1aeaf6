/** A database file behind a link: what it is, and ranges of it. */
import { ReplicaError, isReplicaError, type ErrorCode } from "../../shared/errors.ts";
import { parseInstant } from "../../shared/instant.ts";
import { parseTxid, type Txid } from "../../shared/ltx/txid.ts";
import { startDeadline, type Deadline } from "../../shared/storage/deadline.ts";
import { PassingFailure } from "../../shared/storage/retry.ts";

const IDLE_MS = 30_000;
const STATUS_CODES: Readonly<Record<number, ErrorCode>> = {
  401: "TOKEN_INVALID",
  403: "TOKEN_INVALID",
  404: "DB_NOT_FOUND",
  409: "TXID_TOO_NEW",
  410: "VERSION_EXPIRED",
  412: "PRECONDITION",
};

/** One file, the same for as long as its ETag is. */
export interface LinkedFile {
  /** Where its ranges are: the link itself, or the pinned version that the server names. */
  readonly url: URL;
  /** As the server writes it, quotes included. */
  readonly etag: string;
  readonly sizeBytes: number;
  /** What Eddy's Worker tells beyond that; another server does not. */
  readonly txid: Txid | undefined;
  readonly timestampMs: number | undefined;
  readonly exact: boolean;
}

export interface LinkOptions {
  /** Sent as bearer token. */
  readonly token: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/**
 * Asks what lies behind a link. One that names no fixed version (`latest`) leads to one that does.
 *
 * @throws {PassingFailure} When another try may succeed.
 * @throws {ReplicaError} By status: `DB_NOT_FOUND`, `VERSION_EXPIRED`, `TXID_TOO_NEW`, `TOKEN_INVALID`;
 *   `R2_ERROR` when it gives no ranges.
 */
export async function describeLink(link: URL, options: LinkOptions): Promise<LinkedFile> {
  let url = link;
  for (let step = 0; ; step++) {
    const { headers } = await request(url, "HEAD", {}, options);
    const etag = headers.get("etag");
    const length = headers.get("content-length");
    const givesRanges = headers.get("accept-ranges") === "bytes";
    if (givesRanges && etag?.startsWith('"') && length !== null) {
      return {
        url,
        etag,
        sizeBytes: Number(length),
        txid: parseTxid(headers.get("x-txid") ?? ""),
        timestampMs: parseInstant(headers.get("x-txid-timestamp") ?? ""),
        exact: headers.get("x-exact") !== "false",
      };
    }
    const pinned = new URL(headers.get("content-location") ?? url, url);
    if (step > 0 || pinned.href === url.href || pinned.origin !== url.origin) {
      const sentence = `${withoutQuery(url)} is no restore link: its server gives no ranges of one fixed file`;
      throw new ReplicaError("R2_ERROR", sentence);
    }
    url = pinned;
  }
}

/**
 * Bytes of the file from `offset` on, `length` of them, as they arrive.
 *
 * @throws {PassingFailure} When they break off.
 * @throws {ReplicaError} `PRECONDITION` when the link leads to another file by now.
 */
export async function* readRange(
  file: LinkedFile,
  { offset, length }: { readonly offset: number; readonly length: number },
  options: LinkOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const deadline = startDeadline(IDLE_MS, options.signal);
  const range = `bytes=${offset}-${offset + length - 1}`;
  const headers = { range, "if-match": file.etag };
  try {
    const response = await request(file.url, "GET", headers, { ...options, deadline });
    const first = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1];
    if (response.status !== 206 || first !== String(offset)) {
      await response.body?.cancel();
      const sentence = `${withoutQuery(file.url)} answered ${range} with something else (status ${response.status})`;
      throw new ReplicaError("R2_ERROR", sentence);
    }
    let left = length;
    for await (const chunk of response.body ?? []) {
      deadline.extend();
      left -= chunk.length;
      if (left < 0) break;
      yield chunk;
    }
    if (left !== 0) throw new Error("the answer ended early");
  } catch (error) {
    throw passing(error, file.url, options.signal);
  } finally {
    deadline.stop();
  }
}

/** A URL as it may be shown and kept: the query of a signed link is a secret. */
export function withoutQuery(url: URL): string {
  return url.origin + url.pathname;
}

async function request(
  url: URL,
  method: "GET" | "HEAD",
  headers: Readonly<Record<string, string>>,
  options: LinkOptions & { readonly deadline?: Deadline },
): Promise<Response> {
  const { token, signal } = options;
  const deadline = options.deadline ?? startDeadline(IDLE_MS, signal);
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const all = { "accept-encoding": "identity", ...authorization, ...headers };
  try {
    const response = await fetch(url, { method, headers: all, signal: deadline.signal });
    if (response.ok) return response;
    // HEAD has no body that would say why.
    if (method === "HEAD") return await request(url, "GET", headers, options);
    throw await failureOf(response, url, token);
  } catch (error) {
    throw passing(error, url, signal);
  } finally {
    if (!options.deadline) deadline.stop();
  }
}

/** What a refusal says, from its problem details where it has them. */
async function failureOf(
  response: Response,
  url: URL,
  token: string | undefined,
): Promise<ReplicaError | PassingFailure> {
  const { status, headers } = response;
  const text = (await response.text()).slice(0, 10_000);
  const problem = problemOf(text);
  const detail = problem.detail ?? problem.title ?? response.statusText;
  const hint =
    status !== 401 && status !== 403
      ? ""
      : `; ${token === undefined ? "set EDDY_TOKEN to a token for it" : "EDDY_TOKEN holds another token"}`;
  const sentence = `${withoutQuery(url)} answers ${status}: ${detail}${hint}`;
  if (problem.code === "corrupt-page") return new ReplicaError("CORRUPT_PAGE", sentence);
  const error = new ReplicaError(STATUS_CODES[status] ?? "R2_ERROR", sentence);
  const passes = status >= 500 || status === 408 || status === 429;
  const retryAfterMs = Number(headers.get("retry-after")) * 1_000 || 0;
  return passes ? new PassingFailure(error, retryAfterMs) : error;
}

interface Problem {
  readonly code?: string;
  readonly title?: string;
  readonly detail?: string;
}

function problemOf(text: string): Problem {
  try {
    return JSON.parse(text) as Problem;
  } catch {
    // Not Eddy's Worker, or not its JSON: the status has to do.
    return {};
  }
}

function passing(error: unknown, url: URL, signal: AbortSignal | undefined): Error {
  if (error instanceof PassingFailure || isReplicaError(error)) return error;
  if (signal?.aborted) {
    return new ReplicaError("ABORTED", "the operation was cancelled", { cause: error });
  }
  const { message, cause } = error as Error;
  const reason = cause instanceof Error ? cause.message : message;
  const sentence = `the connection to ${withoutQuery(url)} failed: ${reason}`;
  return new PassingFailure(new ReplicaError("R2_ERROR", sentence, { cause: error }));
}
