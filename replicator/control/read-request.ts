import type { IncomingMessage } from "node:http";
import { ReplicaError } from "../../shared/errors.ts";

/** A request names a path and a URL; nothing that is longer is one. In bytes. */
const BODY_BYTES_MAX = 64 * 1024;
/** In seconds, as Litestream's. */
const TIMEOUT_SECONDS = 30;
const TIMEOUT_SECONDS_MAX = 24 * 60 * 60;

/** The body of a POST. */
export interface ControlRequest {
  readonly path: string;
  readonly replicaUrl: string | undefined;
  readonly wait: boolean;
  readonly timeoutMs: number;
}

/**
 * Reads and checks a request's body.
 *
 * @throws {ReplicaError} `BAD_REQUEST`.
 */
export async function readControlRequest(request: IncomingMessage): Promise<ControlRequest> {
  const fields = parseBody(await readBody(request));
  const { path, replica_url: replicaUrl, wait = false, timeout } = fields;
  if (path === undefined || path === "") throw badRequest("path required");
  if (typeof path !== "string") throw badRequest("path must be a string");
  if (replicaUrl !== undefined && typeof replicaUrl !== "string") {
    throw badRequest("replica_url must be a string");
  }
  if (typeof wait !== "boolean") throw badRequest("wait must be true or false");
  return { path, replicaUrl, wait, timeoutMs: timeoutMsOf(timeout) };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Not destroyed when it is too long: whoever sent it is to be told.
  const body: AsyncIterable<Buffer> = request.iterator({ destroyOnReturn: false });
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) {
      throw badRequest(`the request's body is longer than ${BODY_BYTES_MAX} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parseBody(text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw badRequest("invalid request body", cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw badRequest("invalid request body: it must be a JSON object");
  }
  return value as Readonly<Record<string, unknown>>;
}

/** 0 and nothing at all mean the default. */
function timeoutMsOf(seconds: unknown): number {
  if (seconds === undefined || seconds === 0) return TIMEOUT_SECONDS * 1_000;
  const isSound = typeof seconds === "number" && seconds > 0 && seconds <= TIMEOUT_SECONDS_MAX;
  if (isSound) return seconds * 1_000;
  throw badRequest(`timeout must be a number of seconds, at most ${TIMEOUT_SECONDS_MAX}`);
}

function badRequest(message: string, cause?: unknown): ReplicaError {
  return new ReplicaError("BAD_REQUEST", message, { cause });
}
