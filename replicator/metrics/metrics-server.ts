import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { isIPv6, type AddressInfo } from "node:net";
import { ReplicaError } from "../../shared/errors.ts";
import type { Metrics } from "./metrics.ts";

/** A request must have arrived after so long, in milliseconds. */
const REQUEST_TIMEOUT_MS = 10_000;

/** Answers `/metrics` over HTTP, and nothing else, until it is closed. */
export class MetricsServer implements AsyncDisposable {
  readonly #server: Server;

  private constructor(metrics: Metrics) {
    this.#server = createServer((request, response) => {
      void answer(metrics, request, response);
    });
    this.#server.requestTimeout = REQUEST_TIMEOUT_MS;
    this.#server.headersTimeout = REQUEST_TIMEOUT_MS;
  }

  /**
   * Starts to listen.
   *
   * @param address As Litestream's `addr`: `:9090`, `127.0.0.1:9090`, `[::1]:9090`. Port 0: any that is free.
   * @throws {ReplicaError} `BAD_CONFIG` when that is no address, `LOCAL_FILE` when it is not to be had.
   */
  static async start(address: string, metrics: Metrics): Promise<MetricsServer> {
    const { host, port } = parseAddress(address);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const server = new MetricsServer(metrics);
    server.#server.once("error", reject);
    server.#server.listen({ host, port }, resolve);
    try {
      await promise;
    } catch (cause) {
      throw new ReplicaError(
        "LOCAL_FILE",
        `cannot serve metrics at ${address}: ${(cause as Error).message}. Choose another addr`,
        { cause },
      );
    }
    return server;
  }

  /** `http://host:port/metrics`. */
  get url(): string {
    const { address, port } = this.#server.address() as AddressInfo;
    return `http://${isIPv6(address) ? `[${address}]` : address}:${port}/metrics`;
  }

  async close(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    // An answer takes milliseconds; whoever is still there does not read it.
    this.#server.closeAllConnections();
    await promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

async function answer(
  metrics: Metrics,
  { url = "/", method }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const [path] = url.split("?");
  if (path !== "/metrics") return send(response, 404, "metrics are at /metrics\n");
  if (method !== "GET" && method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    return send(response, 405, "metrics are read by GET\n");
  }
  try {
    response.setHeader("content-type", metrics.contentType);
    send(response, 200, await metrics.text());
  } catch (error) {
    // Whoever watches the metrics sees that they are missing, and why.
    response.setHeader("content-type", "text/plain");
    send(response, 500, `${(error as Error).message}\n`);
  }
}

function send(response: ServerResponse, status: number, text: string): void {
  if (!response.hasHeader("content-type")) response.setHeader("content-type", "text/plain");
  response.writeHead(status).end(text);
}

function parseAddress(address: string): {
  readonly host: string | undefined;
  readonly port: number;
} {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]*)):(\d{1,5})$/i.exec(address);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) {
    throw new ReplicaError(
      "BAD_CONFIG",
      `addr is "${address}", which is no address to listen on: write :9090 for all interfaces, or 127.0.0.1:9090`,
    );
  }
  const host = match[1] ?? match[2];
  return { host: host === "" ? undefined : host, port };
}
