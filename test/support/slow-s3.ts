/**
 * An S3 bucket that takes its time: lists and ranged reads of a few objects, each answered after a
 * delay. It answers under any path, so that each path is a database that no cache has seen.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface SlowS3Options {
  /** Bodies by the end of their keys: `0000/<min>-<max>.ltx`. */
  readonly objects: Readonly<Record<string, Uint8Array>>;
  readonly delayMs: number;
}

export interface SlowS3 {
  /** Without a trailing slash. */
  readonly url: string;
  readonly bucket: string;
  /** Requests so far, and those that are being answered now. */
  readonly counts: { readonly requests: number; readonly inFlight: number };
  /** Called with the path of the database when a request for it comes in. */
  onRequest: ((database: string) => void) | undefined;
  close(): Promise<void>;
}

const BUCKET = "slow";
const LAST_MODIFIED = new Date(Date.UTC(2026, 9, 1));

/** Starts the bucket on the loopback interface. */
export async function startSlowS3({ objects, delayMs }: SlowS3Options): Promise<SlowS3> {
  const counts = { requests: 0, inFlight: 0 };
  const server = createServer((request, response) => {
    counts.requests++;
    counts.inFlight++;
    response.once("close", () => counts.inFlight--);
    const url = new URL(request.url ?? "", "http://s3");
    const key = decodeURIComponent(url.pathname.slice(BUCKET.length + 2));
    const prefix = url.searchParams.get("prefix");
    slow.onRequest?.((prefix ?? key).split("/")[0] ?? "");
    setTimeout(() => {
      if (prefix === null) answerGet(request, response, objects[key.slice(key.indexOf("/") + 1)]);
      else answerList(response, url.searchParams, objects);
    }, delayMs);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const slow: SlowS3 = {
    url: `http://127.0.0.1:${port}`,
    bucket: BUCKET,
    counts,
    onRequest: undefined,
    close: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
  return slow;
}

function answerGet(
  { headers }: IncomingMessage,
  response: ServerResponse,
  body: Uint8Array | undefined,
): void {
  const range = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "");
  if (!body || !range) {
    response.writeHead(404, { "content-type": "application/xml" });
    response.end("<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>");
    return;
  }
  // Without an end, as Litestream asks, the range goes to the end of the object.
  const last = range[2] === "" ? body.length - 1 : Number(range[2]);
  const [start, end] = [Number(range[1]), Math.min(last + 1, body.length)];
  response.writeHead(206, {
    "content-length": end - start,
    "content-range": `bytes ${start}-${end - 1}/${body.length}`,
    "last-modified": LAST_MODIFIED.toUTCString(),
    etag: '"one"',
  });
  response.end(body.subarray(start, end));
}

function answerList(
  response: ServerResponse,
  parameters: URLSearchParams,
  objects: SlowS3Options["objects"],
): void {
  const prefix = parameters.get("prefix") ?? "";
  const startAfter = parameters.get("start-after") ?? "";
  const isEncoded = parameters.get("encoding-type") === "url";
  const database = prefix.split("/")[0] ?? "";
  const contents = Object.entries(objects)
    .map(([end, body]) => [`${database}/${end}`, body.length] as const)
    .filter(([key]) => key.startsWith(prefix) && key > startAfter)
    .map(
      ([key, size]) =>
        `<Contents><Key>${isEncoded ? encodeURIComponent(key) : key}</Key><Size>${size}</Size><ETag>"one"</ETag>` +
        `<LastModified>${LAST_MODIFIED.toISOString()}</LastModified></Contents>`,
    );
  response.writeHead(200, { "content-type": "application/xml" });
  response.end(
    `<ListBucketResult>${isEncoded ? "<EncodingType>url</EncodingType>" : ""}` +
      `<IsTruncated>false</IsTruncated>${contents.join("")}</ListBucketResult>`,
  );
}
