import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { createSampleDatabase } from "../../tools/demo/sample-database.ts";
import { freePort } from "../support/free-port.ts";
import { litestream } from "../support/litestream.ts";

const folder = mkdtempSync(join(tmpdir(), "eddy-dev-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("serves a copy of the replica that a Litestream user already has, and ends without a trace", async () => {
  const path = join(folder, "theirs.db");
  const replica = `file://${join(folder, "replica")}`;
  createSampleDatabase(path);
  expect(litestream(["replicate", "-once", path, replica])).toMatchObject({ status: 0 });
  const port = await freePort();
  const args = ["run", "dev", "--", "--replica", replica, "--port", String(port), "--name", "mine"];
  const dev = spawn("npm", args, { detached: true, env: { ...process.env, EDDY_TOKEN: "dev" } });
  let printed = "";
  await new Promise<void>((resolve, reject) => {
    dev.once("exit", (code) => reject(new Error(`npm run dev ended with ${code}:\n${printed}`)));
    dev.stderr.on("data", (chunk: Buffer) => {
      printed += chunk.toString();
      if (printed.includes("Ctrl-C removes it")) resolve();
    });
  });
  expect(printed).toContain("copied 1 LTX files");
  const query = new URL(`http://127.0.0.1:${port}/v1/dbs/mine/query`);
  query.searchParams.set("sql", "SELECT count(*) FROM customers");
  const response = await fetch(query, { headers: { authorization: "Bearer dev" } });
  expect(await response.json()).toMatchObject({ rows: [[5_000]] });
  const ended = new Promise<void>((resolve) => dev.once("exit", () => resolve()));
  process.kill(-(dev.pid ?? 0), "SIGINT");
  await ended;
  await expect(fetch(query)).rejects.toThrow();
});

it.each([
  ["without a replica", [], "required option '--replica <url>' not specified", 2],
  [
    "with a replica that is not there",
    ["--replica", `file://${join(folder, "nowhere")}`],
    "there is no LTX file",
    3,
  ],
  [
    "with a name that no database can have",
    ["--replica", "file:///x", "--name", "My Shop"],
    "a database name is 1 to 63 of a-z",
    2,
  ],
  ["with a port that is none", ["--replica", "file:///x", "--port", "http"], "must be a number", 2],
])("refuses to start %s", async (_name, given, message, code) => {
  const port = given.includes("--port") ? [] : ["--port", String(await freePort())];
  const args = ["run", "-s", "dev", "--", ...given, ...(given.length > 0 ? port : [])];
  const { status, stderr } = spawnSync("npm", args, { encoding: "utf8" });
  expect(stderr).toContain(message);
  expect(status).toBe(code);
});
