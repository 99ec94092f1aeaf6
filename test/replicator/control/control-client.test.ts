import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { askReplicator } from "../../../replicator/control/control-client.ts";

let folder: string;
let socketPath: string;
let server: Server | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-client-"));
  socketPath = join(folder, "s.sock");
});
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  rmSync(folder, { recursive: true });
});

async function listen(answer: RequestListener): Promise<void> {
  server = createServer(answer);
  server.listen(socketPath);
  await once(server, "listening");
}

function ask(signal = new AbortController().signal): Promise<unknown> {
  return askReplicator({ path: "/info" }, { socketPath, timeoutMs: 10_000, signal });
}

describe("askReplicator", () => {
  it.each([
    ["its code", 409, { error: "no", code: "WRITER_CONFLICT" }, "WRITER_CONFLICT", "no"],
    ["its status, where it gives no code", 404, { error: "who?" }, "DB_NOT_FOUND", "who?"],
    ["a code of its own making by its status", 400, { error: "x", code: "?" }, "BAD_REQUEST", "x"],
    ["its details too", 400, { error: "bad", details: "at 3" }, "BAD_REQUEST", "bad: at 3"],
    ["its stopping as no failure of ours", 500, { error: "x", code: "ABORTED" }, "R2_ERROR", "x"],
    ["what says nothing by where it came from", 500, {}, "R2_ERROR", "answered 500 to /info"],
  ])("passes on %s", async (_name, status, body, code, message) => {
    await listen((_request, response) => response.writeHead(status).end(JSON.stringify(body)));
    await expect(ask()).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it.each(["404 page not found", "[]", "null", ""])("takes %j for no answer", async (text) => {
    await listen((_request, response) => response.writeHead(200).end(text));
    await expect(ask()).rejects.toMatchObject({
      code: "R2_ERROR",
      message: expect.stringContaining(socketPath),
    });
  });

  it("says so when the connection breaks in the middle of the answer", async () => {
    await listen((_request, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("{");
      response.destroy();
    });
    await expect(ask()).rejects.toMatchObject({
      code: "R2_ERROR",
      message: expect.stringContaining("gave no answer"),
    });
  });

  it("stops waiting when its signal fires", async () => {
    const asked = Promise.withResolvers<void>();
    await listen(() => asked.resolve());
    const stop = new AbortController();
    const answer = ask(stop.signal);
    await asked.promise;
    stop.abort();
    await expect(answer).rejects.toMatchObject({ code: "ABORTED" });
    await expect(ask(AbortSignal.abort())).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("says what to do when the socket's process is gone", async () => {
    await expect(ask()).rejects.toMatchObject({
      code: "LOCAL_FILE",
      message: expect.stringContaining("start one with its control socket on"),
    });
  });
});
