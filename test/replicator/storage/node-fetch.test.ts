import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { nodeFetch } from "../../../replicator/storage/node-fetch.ts";
import { bytesOf, md5, patternBytes, useFaultyR2 } from "../../support/faulty-r2.ts";
import { describeObjectStore } from "../../support/object-store-contract.ts";

const faulty = useFaultyR2();

describeObjectStore("the S3 API through Node's HTTP client", {
  open: async ({ pageSize }) => {
    await faulty.r2.clear();
    return faulty.openStore({
      endpoint: faulty.r2.endpoint,
      fetch: nodeFetch,
      ...(pageSize !== undefined && { pageSize }),
    });
  },
  oddKeys: ["'()*!", "a b+c=d&e?f#g", "日本/😀", "%2F%", "double//slash", "dots/..."],
  metadata: { "litestream-timestamp": "2025-01-01T00:00:00.123Z", other: "two words" },
  listsMetadata: false,
  manyObjects: 20,
  largeBytes: 3_000_000,
  cancelsInFlight: true,
});

function open() {
  return faulty.openStore({ fetch: nodeFetch });
}

function put(url: string, body: Uint8Array<ArrayBuffer>, signal = AbortSignal.timeout(20_000)) {
  return nodeFetch(url, { method: "PUT", headers: {}, body, redirect: "manual", signal });
}

async function readAll(response: Awaited<ReturnType<typeof nodeFetch>>): Promise<number> {
  const reader = response.body!.getReader();
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return bytes;
    bytes += value?.length ?? 0;
  }
}

describe("Node's HTTP client under the S3 store", () => {
  it("takes a body up where it broke off", async () => {
    const whole = patternBytes(3_000_000);
    await faulty.r2.binding.put("k", whole);
    faulty.proxy.fail({ breakAfterBytes: 1_000_000 }, { reset: true });
    const read = await open().get("k");
    expect(md5(read!.bytes)).toEqual(md5(whole));
    expect(faulty.proxy.requests).toHaveLength(3);
  });

  it("repeats a request whose connection was reset, and one that was answered with 503", async () => {
    faulty.proxy.fail({ reset: true }, { status: 503 });
    await open().put("k", bytesOf("here"));
    expect(faulty.requestsSeen()).toEqual(["PUT k", "PUT k", "PUT k"]);
    expect(await faulty.stored("k")).toBe("here");
  });

  it("names the system's reason where nothing listens", async () => {
    const store = faulty.openStore({
      endpoint: "http://127.0.0.1:1",
      fetch: nodeFetch,
      attemptsMax: 1,
    });
    await expect(store.get("k")).rejects.toMatchObject({
      code: "R2_ERROR",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });
});

describe("nodeFetch", () => {
  const servers: http.Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  async function serve(
    listener: http.RequestListener,
  ): Promise<{ url: string; server: http.Server }> {
    const server = http.createServer(listener).listen(0, "127.0.0.1");
    servers.push(server);
    await once(server, "listening");
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, server };
  }

  it("keeps the connection of an answer that was read to its end", async () => {
    let connections = 0;
    const { url, server } = await serve((request, response) => {
      request.resume().on("end", () => response.end("answer"));
    });
    server.on("connection", () => connections++);
    for (let i = 0; i < 3; i++) expect(await readAll(await put(url, new Uint8Array(9)))).toBe(6);
    expect(connections).toBe(1);
  });

  it("drops the connection of an answer that is left early", async () => {
    const { url } = await serve((request, response) => {
      request.resume().on("end", () => response.write(new Uint8Array(100_000)));
      response.on("close", () => closed.resolve());
    });
    const closed = Promise.withResolvers<void>();
    const reader = (await put(url, new Uint8Array(1))).body!.getReader();
    await reader.read();
    await reader.cancel();
    await closed.promise;
  });

  it("outlives a server that answers and hangs up before it has read the body", async () => {
    const { url } = await serve((request, response) => {
      response.writeHead(403).end("no", () => request.socket.resetAndDestroy());
    });
    for (let i = 0; i < 5; i++) {
      // Which of the two is seen first is the network's affair.
      const status = await put(url, new Uint8Array(20_000_000)).then(
        (response) => response.status,
        (error: NodeJS.ErrnoException) => error.code,
      );
      expect([403, "ECONNRESET", "EPIPE"]).toContain(status);
    }
  });

  it("gives up when its signal fires, also while the body arrives", async () => {
    const { url } = await serve((_request, response) => {
      response.write("begun");
    });
    const controller = new AbortController();
    const response = await put(url, new Uint8Array(1), controller.signal);
    const reader = response.body!.getReader();
    await reader.read();
    controller.abort();
    await expect(reader.read()).rejects.toThrow();
    await expect(put(url, new Uint8Array(1), controller.signal)).rejects.toThrow();
  });

  it("tells a body that broke off from one that is whole", async () => {
    const { url } = await serve((_request, response) => {
      response.writeHead(200, { "content-length": 10 });
      response.write("half", () => response.socket?.destroy());
    });
    await expect(put(url, new Uint8Array(1)).then(readAll)).rejects.toThrow();
  });
});
