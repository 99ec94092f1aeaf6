import { request as httpRequest, type IncomingMessage } from "node:http";
import { ReplicaError, throwIfAborted, type ErrorCode } from "../../shared/errors.ts";
import { isErrorCode } from "../exit-code.ts";
import { codeOf } from "../storage/durable-file.ts";

/** The server ends what takes too long itself, and says why; only a server that hangs meets this. */
const MARGIN_MS = 2_000;
const REPLY_BYTES_MAX = 64 * 1024 * 1024;

export interface ControlClientOptions {
  readonly socketPath: string;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** A request: `body` makes it a POST. */
export interface ControlCall {
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
}

type Reply = Readonly<Record<string, unknown>>;

/**
 * Asks the replicator that listens on a control socket, ours or Litestream's.
 *
 * @returns The JSON object that it answers.
 * @throws {ReplicaError} `LOCAL_FILE` when nobody listens, `R2_ERROR` when there is no answer in time or
 *   none that can be understood, `ABORTED`, and what the replicator says.
 */
export async function askReplicator(
  { path, body }: ControlCall,
  { socketPath, timeoutMs, signal }: ControlClientOptions,
): Promise<Reply> {
  throwIfAborted(signal);
  const timeout = AbortSignal.timeout(timeoutMs + MARGIN_MS);
  const content = body && JSON.stringify({ ...body, timeout: timeoutMs / 1_000 });
  let answer: { readonly status: number; readonly text: string };
  try {
    answer = await exchange({
      socketPath,
      path,
      content,
      signal: AbortSignal.any([signal, timeout]),
    });
  } catch (cause) {
    throwIfAborted(signal);
    if (timeout.aborted) throw tooLate(socketPath, timeoutMs, cause);
    throw unreachable(socketPath, cause);
  }
  const reply = parseReply(answer.text);
  if (answer.status === 200 && reply) return reply;
  throw refusal(answer.status, reply, `${socketPath} answered ${answer.status} to ${path}`);
}

interface Exchange {
  readonly socketPath: string;
  readonly path: string;
  readonly content: string | undefined;
  readonly signal: AbortSignal;
}

async function exchange({ socketPath, path, content, signal }: Exchange) {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const request = httpRequest({
    socketPath,
    path,
    signal,
    agent: false,
    method: content === undefined ? "GET" : "POST",
    headers: {
      host: "localhost",
      ...(content !== undefined && {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(content),
      }),
    },
  });
  request.once("response", resolve);
  request.on("error", reject);
  request.end(content);
  const response = await promise;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > REPLY_BYTES_MAX) throw new Error("the answer has no end");
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() };
}

function parseReply(text: string): Reply | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Reply) : undefined;
  } catch {
    // Not every server that may listen there speaks JSON; the caller says what it got.
    return undefined;
  }
}

/** For the servers that give no code. */
const CODES: Readonly<Record<number, ErrorCode>> = {
  400: "BAD_REQUEST",
  404: "DB_NOT_FOUND",
  409: "SOURCE_INVALID",
};

function refusal(status: number, reply: Reply | undefined, otherwise: string): ReplicaError {
  const { error, details, code } = reply ?? {};
  const told = typeof error === "string" ? error : otherwise;
  const message = typeof details === "string" ? `${told}: ${details}` : told;
  const fallback = reply === undefined ? "R2_ERROR" : (CODES[status] ?? "R2_ERROR");
  // What was cancelled there was not cancelled by whoever asks here.
  const isTold = isErrorCode(code) && code !== "ABORTED";
  return new ReplicaError(isTold ? code : fallback, message);
}

function tooLate(socketPath: string, timeoutMs: number, cause: unknown): ReplicaError {
  return new ReplicaError(
    "R2_ERROR",
    `the replicator at ${socketPath} did not answer within ${timeoutMs / 1_000} s; give it longer with --timeout`,
    { cause },
  );
}

function unreachable(socketPath: string, cause: unknown): ReplicaError {
  const code = codeOf(cause);
  if (code === "ENOENT" || code === "ECONNREFUSED") {
    return new ReplicaError(
      "LOCAL_FILE",
      `no replicator listens on ${socketPath}: start one with its control socket on, or name the socket of the one that runs with --socket PATH`,
      { cause },
    );
  }
  if (code === "EACCES" || code === "EPERM") {
    return new ReplicaError(
      "LOCAL_FILE",
      `this user may not connect to ${socketPath}: run the command as the replicator's user, or give the socket other permissions`,
      { cause },
    );
  }
  return new ReplicaError(
    "R2_ERROR",
    `the replicator at ${socketPath} gave no answer: ${(cause as Error).message}`,
    { cause },
  );
}
