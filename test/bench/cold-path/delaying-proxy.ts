/**
 * A proxy in front of an S3 server that answers each request after a delay, as a bucket far away does, and counts:
 * requests, bytes, and the longest chain of requests that waited for one another.
 */
import http from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";

export interface ProxyCounts {
  readonly lists: number;
  readonly gets: number;
  /** Bytes of the answers' bodies. */
  readonly bytes: number;
  /** The longest run of requests of which each began after the one before had ended: round trips. */
  readonly roundTrips: number;
  readonly inFlightMax: number;
}

export interface DelayingProxy {
  /** Without a trailing slash. */
  readonly url: string;
  delayMs: number;
  /** What was counted since the last time, in requests that have ended. */
  take(): ProxyCounts;
  close(): Promise<void>;
}

interface Span {
  readonly beganMs: number;
  readonly endedMs: number;
}

/** Starts the proxy on the loopback interface. Signatures stay right: the client's Host header goes through. */
export async function startDelayingProxy(
  upstream: string,
  delayMs: number,
): Promise<DelayingProxy> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
  const target = new URL(upstream);
  let counts = emptyCounts();
  let inFlight = 0;
  const server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const beganMs = performance.now();
    counts.inFlightMax = Math.max(counts.inFlightMax, ++inFlight);
    if (isListing(request.url ?? "")) counts.lists++;
    else counts.gets++;
    response.once("close", () => {
      inFlight--;
      counts.spans.push({ beganMs, endedMs: performance.now() });
    });
    setTimeout(() => {
      if (response.destroyed) return;
      const outgoing = http.request(
        {
          agent,
          host: target.hostname,
          port: target.port,
          method: request.method,
          path: request.url,
          headers: request.headers,
        },
        (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.on("data", (chunk: Buffer) => (counts.bytes += chunk.length));
          answer.pipe(response);
        },
      );
      outgoing.once("error", (error) => response.destroy(error));
      // Whoever reads ahead leaves some reads: a connection whose answer nobody takes would never be free again.
      response.once("close", () => {
        if (!response.writableFinished) outgoing.destroy();
      });
      request.pipe(outgoing);
    }, proxy.delayMs);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const proxy: DelayingProxy = {
    url: `http://127.0.0.1:${port}`,
    delayMs,
    take() {
      const { spans, ...taken } = counts;
      counts = emptyCounts();
      return { ...taken, roundTrips: longestChain(spans) };
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      agent.destroy();
    },
  };
  return proxy;
}

function emptyCounts() {
  return { lists: 0, gets: 0, bytes: 0, inFlightMax: 0, spans: [] as Span[] };
}

function isListing(path: string): boolean {
  return new URL(path, "http://s3").searchParams.has("list-type");
}

/** The most spans that do not overlap: whoever ends first is taken first. */
function longestChain(spans: readonly Span[]): number {
  let length = 0;
  let freeMs = -Infinity;
  for (const { beganMs, endedMs } of spans.toSorted((a, b) => a.endedMs - b.endedMs)) {
    if (beganMs < freeMs) continue;
    freeMs = endedMs;
    length++;
  }
  return length;
}
