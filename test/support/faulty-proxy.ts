/**
 * An HTTP proxy that fails as it is told to, for tests of what a client does about it. It stands
 * in front of a real service and passes everything else through, signatures included.
 */
import http from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

/** What is to happen to one request. */
export type Fault = FaultKind & {
  /** Only for requests that fit; others take the next fault, or none. */
  readonly when?: (request: ProxiedRequest) => boolean;
  /** The service carries the request out, and only its answer is lost. */
  readonly afterwards?: boolean;
};

type FaultKind =
  /** Answers this instead of the service. */
  | { readonly status: number; readonly body?: string; readonly headers?: Record<string, string> }
  /** Drops the connection without an answer. */
  | { readonly reset: true }
  /** Passes on so many bytes of the answer's body, then drops the connection. */
  | { readonly breakAfterBytes: number }
  /** Neither answers nor closes. */
  | { readonly hang: true }
  /** Answers with what this makes of the body of the service's answer. */
  | { readonly rewrite: (body: string) => string };

export interface ProxiedRequest {
  readonly method: string;
  /** Path and query as they were sent. */
  readonly target: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly bodyBytes: number;
}

export interface FaultyProxy {
  /** Without a trailing slash; ends in the path of `upstream`. */
  readonly url: string;
  /** In the order of their arrival. */
  readonly requests: readonly ProxiedRequest[];
  /** Most requests under way at one moment whose method and target fit. */
  inFlightMax(pattern: RegExp): number;
  /** Queues faults: each befalls one request, in order. */
  fail(...faults: readonly Fault[]): void;
  /** Forgets the faults that are left, and the requests. */
  reset(): void;
  close(): Promise<void>;
}

/** Starts a proxy in front of `upstream`, on a free port of the loopback interface. */
export async function startFaultyProxy(upstream: string): Promise<FaultyProxy> {
  const state = new ProxyState();
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer((request, response) => {
    handle(state, new URL(upstream), agent, request, response).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${new URL(upstream).pathname}`,
    requests: state.requests,
    inFlightMax: (pattern) => state.inFlightMax(pattern),
    fail: (...faults) => void state.faults.push(...faults),
    reset: () => state.reset(),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
      agent.destroy();
    },
  };
}

class ProxyState {
  readonly faults: Fault[] = [];
  readonly requests: ProxiedRequest[] = [];
  /** Snapshots of what was under way, taken whenever a request arrives. */
  readonly #moments: string[][] = [];
  readonly #underWay = new Set<{ name: string }>();

  reset(): void {
    this.faults.length = 0;
    this.requests.length = 0;
    this.#moments.length = 0;
  }

  begin({ method, url }: http.IncomingMessage): () => void {
    const entry = { name: `${method} ${url}` };
    this.#underWay.add(entry);
    this.#moments.push([...this.#underWay].map(({ name }) => name));
    return () => this.#underWay.delete(entry);
  }

  inFlightMax(pattern: RegExp): number {
    const counts = this.#moments.map((names) => names.filter((name) => pattern.test(name)).length);
    return Math.max(0, ...counts);
  }

  take(request: ProxiedRequest): Fault | undefined {
    const index = this.faults.findIndex(({ when }) => when?.(request) ?? true);
    return index < 0 ? undefined : this.faults.splice(index, 1)[0];
  }
}

async function handle(
  state: ProxyState,
  upstream: URL,
  agent: http.Agent,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const end = state.begin(request);
  response.once("close", end);
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const { method = "GET", url = "/", headers } = request;
  const proxied = { method, target: url, headers, bodyBytes: body.length };
  state.requests.push(proxied);
  const fault = state.take(proxied);
  const carriesOut =
    fault === undefined || fault.afterwards || "breakAfterBytes" in fault || "rewrite" in fault;
  const answer = carriesOut ? await forward(upstream, agent, proxied, body) : undefined;
  if (fault === undefined || "breakAfterBytes" in fault) {
    return passOn(answer!, response, fault?.breakAfterBytes);
  }
  if ("rewrite" in fault) return await rewrite(answer!, response, fault.rewrite);
  answer?.resume();
  if ("reset" in fault) request.socket.resetAndDestroy();
  if ("status" in fault) response.writeHead(fault.status, fault.headers).end(fault.body ?? "");
}

function forward(
  upstream: URL,
  agent: http.Agent,
  { method, target, headers }: ProxiedRequest,
  body: Buffer,
): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = upstream;
    // The host as the client named it: it is part of the signature.
    const options = { hostname, port, method, path: target, headers, agent };
    http.request(options, resolve).once("error", reject).end(body);
  });
}

async function passOn(
  answer: http.IncomingMessage,
  response: http.ServerResponse,
  bytesMax = Number.POSITIVE_INFINITY,
): Promise<void> {
  response.writeHead(answer.statusCode ?? 502, answer.headers);
  let left = bytesMax;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    const piece = chunk.subarray(0, Math.min(chunk.length, left));
    left -= piece.length;
    await new Promise((resolve) => response.write(piece, resolve));
    if (left === 0) {
      response.destroy();
      return;
    }
  }
  response.end();
}

async function rewrite(
  answer: http.IncomingMessage,
  response: http.ServerResponse,
  change: (body: string) => string,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of answer as AsyncIterable<Buffer>) chunks.push(chunk);
  const { "content-length": _, "transfer-encoding": __, ...headers } = answer.headers;
  response.writeHead(answer.statusCode ?? 502, headers);
  response.end(change(Buffer.concat(chunks).toString()));
}
