/**
 * A proxy in front of the local R2's S3 endpoint that signs every request anew. That endpoint checks
 * signatures after its front has rewritten `accept-encoding`, which the AWS SDK for Go (and so
 * Litestream) signs: without this proxy it answers 403. It also tells of every PUT that went through, so that
 * a benchmark can see when which bytes were in the bucket.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { AwsV4Signer } from "aws4fetch";

export interface StoredObject {
  readonly path: string;
  readonly body: Buffer;
  /** When the store's answer came back, on the clock of `performance.now()` plus its origin. */
  readonly storedAtMs: number;
}

export interface ProxyOptions {
  /** For example `http://127.0.0.1:8787/cdn-cgi/local/r2/s3`. */
  readonly upstream: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly onStored?: (stored: StoredObject) => void;
}

export interface ResigningProxy {
  readonly url: string;
  close(): Promise<void>;
}

/** Headers that belong to one hop, or that the proxy writes itself. */
const DROPPED =
  /^(host|connection|accept-encoding|authorization|amz-sdk-.*|expect|te|transfer-encoding)$/;

export async function startResigningProxy(options: ProxyOptions): Promise<ResigningProxy> {
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer((request, response) => {
    forward(options, agent, request, response).catch((error: unknown) => {
      response.destroy(error as Error);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      agent.destroy();
    },
  };
}

async function forward(
  options: ProxyOptions,
  agent: http.Agent,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const signed = await sign(options, request);
  const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const headers = { ...Object.fromEntries(signed.headers), "content-length": body.length };
    const outgoing = http.request(signed.url, { method: request.method, headers, agent }, resolve);
    outgoing.once("error", reject);
    outgoing.end(body);
  });
  const ok = (answer.statusCode ?? 500) < 300;
  if (ok && request.method === "PUT") {
    const storedAtMs = performance.timeOrigin + performance.now();
    options.onStored?.({ path: decodeURIComponent(request.url ?? ""), body, storedAtMs });
  }
  response.writeHead(answer.statusCode ?? 502, answer.headers);
  answer.pipe(response);
}

async function sign(
  { upstream, accessKeyId, secretAccessKey }: ProxyOptions,
  request: http.IncomingMessage,
): Promise<{ url: URL; headers: Headers }> {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (!DROPPED.test(name) && value !== undefined) headers.set(name, String(value));
  }
  const signable = new Headers();
  headers.forEach((value, name) => {
    if (name.startsWith("x-amz-")) signable.set(name, value);
  });
  const signer = new AwsV4Signer({
    method: request.method ?? "GET",
    url: `${upstream}${request.url}`,
    headers: signable,
    accessKeyId,
    secretAccessKey,
    service: "s3",
    region: "auto",
  });
  const signed = await signer.sign();
  signed.headers.forEach((value, name) => headers.set(name, value));
  return { url: signed.url, headers };
}
