import { once } from "node:events";
import { createServer, type Server } from "node:net";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCliFixture } from "../support/cli-fixture.ts";
import { RunningEddy } from "../support/running-eddy.ts";

const { at, remove } = await createCliFixture();
/** Takes connections and never says a word. */
let silent: Server;
let url: string;
beforeAll(async () => {
  silent = createServer((socket) => socket.on("error", () => undefined)).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  url = `s3://bucket/path?region=auto&endpoint=http://127.0.0.1:${port}`;
});
afterAll(() => {
  silent.close();
  remove();
});

const CREDENTIALS = { AWS_ACCESS_KEY_ID: "key", AWS_SECRET_ACCESS_KEY: "secret" };

describe("a store that takes connections and never answers", () => {
  it.each([
    ["eddy replicate", ["replicate", at("app.db")], "nothing was shipped"],
    ["eddy replicate --once", ["replicate", "--once", at("app.db")], "was cancelled"],
    ["eddy restore", ["restore", "-o", at("never.db")], "was cancelled"],
  ])("lets Ctrl-C end %s, with exit code 130", async (_name, args, sentence) => {
    const asked = once(silent, "connection");
    await using running = new RunningEddy([...args, url], CREDENTIALS);
    await asked;
    running.signal("SIGINT");
    const { status, stderr } = await running.result();
    expect(stderr).toContain(sentence);
    expect(status).toBe(130);
  });
});
