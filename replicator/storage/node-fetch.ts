/**
 * What the S3 store needs of `fetch`, on Node's HTTP client: `fetch` copies each body before it
 * sends it, and a part of an upload has 8 MiB.
 */
import http from "node:http";
import https from "node:https";
import type {
  HttpBodyReader,
  HttpHeaders,
  HttpInit,
  HttpResponse,
} from "../../shared/storage/http.ts";

/** A connection that nobody has used for so long is closed: what lies between may have forgotten it. */
const IDLE_MS = 20_000;

const options = {
  keepAlive: true,
  noDelay: true,
  scheduling: "lifo",
  timeout: IDLE_MS,
  // As with `fetch`: HTTPS_PROXY and its like hold where Node is told to heed them.
  ...(process.env["NODE_USE_ENV_PROXY"] === "1" && { proxyEnv: process.env }),
} as const;
const agents = { "http:": new http.Agent(options), "https:": new https.Agent(options) };

/** Sends one request and resolves when the answer's head is there; rejects where none came. */
export async function nodeFetch(address: string, init: HttpInit): Promise<HttpResponse> {
  const url = new URL(address);
  const { method, headers, body, signal } = init;
  signal.throwIfAborted();
  const isSecure = url.protocol === "https:";
  const { request } = isSecure ? https : http;
  const agent = isSecure ? agents["https:"] : agents["http:"];
  const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const hasLength = body !== undefined || method === "PUT" || method === "POST";
    const length = hasLength ? { "content-length": body?.length ?? 0 } : {};
    const outgoing = request(url, { method, agent, signal, headers: { ...headers, ...length } });
    outgoing.once("response", resolve);
    // For good: a server that answers early and hangs up makes another error of what is left to send.
    outgoing.on("error", reject);
    outgoing.end(body);
  });
  // Whoever reads the body is told; without anybody it would end the process.
  answer.on("error", () => undefined);
  return { status: answer.statusCode ?? 0, headers: headersOf(answer), body: bodyOf(answer) };
}

function headersOf(answer: http.IncomingMessage): HttpHeaders {
  const joined = (name: string) => {
    const value = answer.headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  };
  return {
    get: (name) => joined(name.toLowerCase()) ?? null,
    forEach(callback) {
      for (const name of Object.keys(answer.headers)) callback(joined(name) ?? "", name);
    },
  };
}

function bodyOf(answer: http.IncomingMessage): HttpResponse["body"] {
  return {
    getReader(): HttpBodyReader {
      const pieces = answer[Symbol.asyncIterator]() as AsyncIterator<Buffer, undefined>;
      return {
        async read() {
          const { done = false, value } = await pieces.next();
          // A body that broke off ends like one that is whole, but for this.
          if (done && !answer.complete) throw new Error("the connection was lost");
          // Not as the Buffer that it is: what the store gives out is to be an array like any other.
          return {
            done,
            value: value && new Uint8Array(value.buffer, value.byteOffset, value.length),
          };
        },
        async cancel() {
          // The rest would have to be read before the connection could serve again.
          answer.destroy();
        },
      };
    },
  };
}
