import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSampleDatabase } from "../../tools/demo/sample-database.ts";
import {
  LOCAL_BUCKET,
  LOCAL_CREDENTIALS,
  startLocalWorker,
  type LocalWorker,
} from "../../tools/local-worker.ts";
import { contentOf } from "../support/database-equality.ts";
import { freePort } from "../support/free-port.ts";
import { litestreamAsync, type CommandResult } from "../support/litestream.ts";
import { startResigningProxy, type ResigningProxy } from "../support/resigning-proxy.ts";

const TOKEN = "interop-s3";
const folder = mkdtempSync(join(tmpdir(), "eddy-interop-s3-"));
const at = (name: string) => join(folder, name);
let worker: LocalWorker;
let proxy: ResigningProxy;

beforeAll(async () => {
  const databases = { ours: "ours.db", theirs: "theirs.db" };
  const port = await freePort();
  worker = await startLocalWorker({ folder: at("worker"), port, token: TOKEN, databases });
  const upstream = `${worker.url}/cdn-cgi/local/r2/s3`;
  proxy = await startResigningProxy({ upstream, ...LOCAL_CREDENTIALS });
});
afterAll(async () => {
  await proxy.close();
  await worker.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The same bucket, through the proxy that Litestream's signatures need. */
function theirUrl(path: string): string {
  const endpoint = encodeURIComponent(proxy.url);
  return `s3://${LOCAL_BUCKET}/${path}?endpoint=${endpoint}&region=auto&forcePathStyle=true`;
}

async function eddy(...args: string[]): Promise<CommandResult> {
  const child = spawn(process.execPath, ["replicator/cli.ts", ...args], {
    env: { ...process.env, ...worker.storeEnv },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  }
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { status, output };
}

async function count(database: string, sql: string, ref = "latest"): Promise<unknown> {
  const url = `${worker.url}/v1/dbs/${database}/at/${ref}/query?sql=${encodeURIComponent(sql)}`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } });
  return ((await response.json()) as { rows?: unknown }).rows;
}

function write(path: string, sql: string): void {
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
}

const NOTED = "SELECT count(*) FROM orders WHERE note = 'new'";

describe("one bucket, read and written by both", () => {
  it("restores with Litestream what Eddy put there", async () => {
    const path = at("ours.db");
    createSampleDatabase(path);
    const replicate = () => eddy("replicate", path, worker.storeUrl("ours.db"), "--once");
    expect(await replicate()).toMatchObject({ status: 0 });
    write(path, "UPDATE orders SET note = 'new' WHERE id <= 5");
    expect(await replicate()).toMatchObject({ status: 0 });
    const restored = at("restored.db");
    const result = await litestreamAsync(
      ["restore", "-o", restored, theirUrl("ours.db")],
      worker.storeEnv,
    );
    expect(result).toMatchObject({ status: 0 });
    const content = contentOf(restored);
    expect(content.integrity).toBe("ok");
    expect(content).toEqual(contentOf(path));
    expect(await count("ours", NOTED)).toEqual([[5]]);
    expect(await count("ours", NOTED, "txid:1")).toEqual([[0]]);
  });

  it("queries in the Worker what Litestream put there, without a copy", async () => {
    const path = at("theirs.db");
    createSampleDatabase(path);
    const replicate = () =>
      litestreamAsync(["replicate", "-once", path, theirUrl("theirs.db")], worker.storeEnv);
    expect(await replicate()).toMatchObject({ status: 0 });
    write(path, "UPDATE orders SET note = 'new' WHERE id <= 7");
    expect(await replicate()).toMatchObject({ status: 0 });
    expect(await count("theirs", NOTED)).toEqual([[7]]);
    expect(await count("theirs", NOTED, "txid:1")).toEqual([[0]]);
    const restored = at("restored-theirs.db");
    expect(await eddy("restore", worker.storeUrl("theirs.db"), "-o", restored)).toMatchObject({
      status: 0,
    });
    expect(contentOf(restored)).toEqual(contentOf(path));
  });
});
