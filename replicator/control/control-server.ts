import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { ReplicaError, type ErrorCode } from "../../shared/errors.ts";
import { GET_ROUTES, POST_ROUTES, type ControlContext } from "./control-routes.ts";
import type { ControlTarget } from "./controlled-database.ts";
import { DEFAULT_SOCKET_PATH, type ErrorReply } from "./protocol.ts";
import { readControlRequest, type ControlRequest } from "./read-request.ts";
import { listenOnSocket } from "./socket-file.ts";

/** A request must have arrived after so long, in milliseconds; its answer may take longer. */
const REQUEST_TIMEOUT_MS = 10_000;
/** What is under way when the server closes may go on for so long, in milliseconds. */
const GRACE_MS = 5_000;
const PERMISSIONS = 0o600;

export interface ControlServerOptions {
  readonly target: ControlTarget;
  /** Eddy's own. */
  readonly version: string;
  readonly socketPath?: string | undefined;
  /** Of the socket's file; by default only its owner may connect. */
  readonly permissions?: number | undefined;
  /** How long `close` lets requests end, in milliseconds. */
  readonly graceMs?: number | undefined;
  readonly now?: () => number;
}

/** Answers Litestream's control requests, HTTP over a unix socket, until it is closed. */
export class ControlServer implements AsyncDisposable {
  readonly socketPath: string;
  readonly #server: Server;
  readonly #context: ControlContext;
  readonly #graceMs: number;
  /** Fires when requests that are under way are to end. */
  readonly #closing = new AbortController();
  #closed: Promise<void> | undefined;

  private constructor({
    target,
    version,
    socketPath = DEFAULT_SOCKET_PATH,
    graceMs = GRACE_MS,
    now = Date.now,
  }: ControlServerOptions) {
    this.socketPath = socketPath;
    this.#graceMs = graceMs;
    this.#context = { target, version, startedAtMs: now(), now };
    this.#server = createServer((request, response) => {
      void this.#answer(request, response);
    });
    this.#server.requestTimeout = REQUEST_TIMEOUT_MS;
    this.#server.headersTimeout = REQUEST_TIMEOUT_MS;
  }

  /**
   * Starts to listen.
   *
   * @throws {ReplicaError} `WRITER_CONFLICT` when another process listens on that socket, `LOCAL_FILE`
   *   when there can be none at that place.
   */
  static async start(options: ControlServerOptions): Promise<ControlServer> {
    const server = new ControlServer(options);
    const { permissions = PERMISSIONS } = options;
    await listenOnSocket(server.#server, { socketPath: server.socketPath, permissions });
    return server;
  }

  /** Takes no more requests, lets those under way end for a bounded time, and removes the socket. */
  async close(): Promise<void> {
    this.#closed ??= this.#close();
    await this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    const timer = setTimeout(() => this.#closing.abort(), this.#graceMs);
    // Whoever does not read what is answered then.
    const lastTimer = setTimeout(
      () => this.#server.closeAllConnections(),
      this.#graceMs + REQUEST_TIMEOUT_MS,
    );
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      clearTimeout(lastTimer);
    }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.once("close", () => {
      if (!response.writableFinished) gone.abort();
    });
    const signal = AbortSignal.any([gone.signal, this.#closing.signal]);
    try {
      sendJson(response, 200, await this.#route(request, response, signal));
    } catch (error) {
      if (gone.signal.aborted) return;
      // What of the body was not read would be taken for the next request.
      if (!request.complete) response.setHeader("connection", "close");
      sendJson(response, statusOf(error), toErrorReply(error));
    }
  }

  async #route(
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<object> {
    const url = URL.parse(request.url ?? "/", "http://localhost");
    if (!url) throw new NoRouteError(400, `${request.url} is no path`);
    const { pathname, searchParams } = url;
    const get = GET_ROUTES.get(pathname);
    const post = POST_ROUTES.get(pathname);
    if (!get && !post) throw new NoRouteError(404, `there is no ${pathname} here`);
    const { method } = request;
    if (get && (method === "GET" || method === "HEAD")) return get(this.#context, searchParams);
    if (post && method === "POST") {
      const body = await readControlRequest(request);
      return await withinTime(body, signal, (until) => post(this.#context, body, until));
    }
    const allowed = get ? "GET, HEAD" : "POST";
    response.setHeader("allow", allowed);
    throw new NoRouteError(405, `${pathname} takes ${allowed}, not ${method ?? ""}`);
  }
}

/** A request that no route takes. */
class NoRouteError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function withinTime(
  { path, timeoutMs }: ControlRequest,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<object>,
): Promise<object> {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    return await work(AbortSignal.any([signal, timeout]));
  } catch (cause) {
    if (signal.aborted) throw new ReplicaError("ABORTED", "the replicator is stopping", { cause });
    if (!timeout.aborted) throw cause;
    throw new ReplicaError(
      "R2_ERROR",
      `${path}: not done within ${timeoutMs / 1_000} s: ask again, or give it longer with --timeout`,
      { cause },
    );
  }
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  BAD_REQUEST: 400,
  BAD_CONFIG: 400,
  DB_NOT_FOUND: 404,
  SOURCE_INVALID: 409,
  WRITER_CONFLICT: 409,
};

function statusOf(error: unknown): number {
  if (error instanceof NoRouteError) return error.status;
  return (error instanceof ReplicaError ? STATUS[error.code] : undefined) ?? 500;
}

function toErrorReply(error: unknown): ErrorReply {
  const { message } = error as Error;
  if (!(error instanceof ReplicaError)) return { error: message };
  // Of its own causes only the parser of the body says something that the message does not.
  const cause = error.code === "BAD_REQUEST" ? error.cause : undefined;
  const details = cause instanceof Error ? { details: cause.message } : {};
  return { error: message, ...details, code: error.code };
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  const bytes = Buffer.from(`${JSON.stringify(body)}\n`);
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": bytes.length,
  });
  response.end(bytes);
}
