/** Restore links: the real Worker in front of a local R2, and a proxy in between that fails as it is told. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  downloadDatabase,
  type DownloadOptions,
} from "../../../replicator/download/download-database.ts";
import { startLocalWorker, type LocalWorker } from "../../../tools/local-worker.ts";
import { eddy } from "../../support/eddy-cli.ts";
import {
  startFaultyProxy,
  type FaultyProxy,
  type ProxiedRequest,
} from "../../support/faulty-proxy.ts";
import { freePort } from "../../support/free-port.ts";

const TOKEN = "download";
const KIB = 1024;
const RANGE_BYTES = 256 * KIB;
const TXID = "0000000000000001";

const folder = mkdtempSync(join(tmpdir(), "eddy-download-"));
const at = (name: string) => join(folder, name);
let worker: LocalWorker;
let proxy: FaultyProxy;
let original: Buffer;
let ranges: number;

async function replicate(): Promise<void> {
  const args = ["replicate", at("app.db"), worker.storeUrl("prod/app.db"), "--once"];
  const { status, stderr } = await eddy(args, worker.storeEnv);
  expect(status, stderr).toBe(0);
}

beforeAll(async () => {
  const database = new DatabaseSync(at("app.db"));
  database.exec(
    `PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
       INSERT INTO t SELECT i, randomblob(2000) FROM n`,
  );
  database.close();
  original = readFileSync(at("app.db"));
  ranges = Math.ceil(original.length / RANGE_BYTES);
  expect(ranges).toBeGreaterThan(6);
  worker = await startLocalWorker({
    folder: at("worker"),
    port: await freePort(),
    token: TOKEN,
    databases: { app: "prod/app.db" },
    vars: { HEAD_TTL_MS: "0" },
  });
  await replicate();
  proxy = await startFaultyProxy(worker.url);
}, 90_000);
afterAll(async () => {
  await proxy?.close();
  await worker?.stop();
  rmSync(folder, { recursive: true, force: true });
});

let output: string;
let outputs = 0;
beforeEach(() => {
  proxy.reset();
  output = at(`out-${outputs++}.db`);
});
afterEach(() => proxy.reset());

const linkTo = (ref: string) =>
  new URL(`${proxy.url.replace(/\/$/, "")}/v1/dbs/app/snapshots/${ref}/app.db`);
const isRange = ({ method }: ProxiedRequest) => method === "GET";
const rangesAsked = () => proxy.requests.filter(isRange).map(({ headers }) => headers.range);

function download(options: Partial<DownloadOptions> = {}) {
  return downloadDatabase({
    url: linkTo(TXID),
    token: TOKEN,
    output,
    integrityCheck: "full",
    force: false,
    rangeBytes: RANGE_BYTES,
    ...options,
  });
}

const leftBehind = () =>
  readdirSync(folder).filter((name) => name.startsWith(`${output.slice(folder.length + 1)}.`));

describe("downloadDatabase", () => {
  it("downloads the file in ranges side by side, each asked for once and of one ETag", async () => {
    const result = await download();
    expect(readFileSync(output).equals(original)).toBe(true);
    expect(result).toMatchObject({ txid: 1n, sizeBytes: original.length, resumedBytes: 0 });
    expect(rangesAsked()).toHaveLength(ranges);
    expect(new Set(rangesAsked()).size).toBe(ranges);
    const etags = proxy.requests.filter(isRange).map(({ headers }) => headers["if-match"]);
    expect(new Set(etags).size).toBe(1);
    expect(etags[0]).toMatch(/^"/);
    expect(proxy.inFlightMax(/^GET/)).toBe(4);
    expect(leftBehind()).toEqual([]);
  });

  it("takes up every connection that breaks, where it broke", async () => {
    const breaks = Array.from({ length: ranges }, () => ({
      breakAfterBytes: 100 * KIB,
      when: isRange,
    }));
    proxy.fail(...breaks);
    await download();
    expect(readFileSync(output).equals(original)).toBe(true);
    // Behind the start of a range: what had arrived is not fetched again.
    const onward = rangesAsked().filter(
      (range) => Number(/\d+/.exec(range ?? "")?.[0]) % RANGE_BYTES !== 0,
    );
    expect(onward.length).toBeGreaterThan(ranges / 2);
    expect(rangesAsked()).toHaveLength(ranges + onward.length);
  });

  it("asks again after answers that may pass, and tells the one that does not", async () => {
    proxy.fail({ status: 503, when: isRange }, { reset: true, when: isRange }, { status: 502 });
    await download();
    expect(readFileSync(output).equals(original)).toBe(true);
    output = at("refused.db");
    proxy.fail(
      ...Array.from({ length: 60 }, () => ({ status: 500, body: "out of order", when: isRange })),
    );
    await expect(download({ parallelism: 1 })).rejects.toMatchObject({
      code: "R2_ERROR",
      message: expect.stringContaining("answers 500"),
    });
    expect(existsSync(output)).toBe(false);
  });

  it("goes on after an interruption with what is missing, and no more", async () => {
    const interrupted = new AbortController();
    await expect(
      download({
        signal: interrupted.signal,
        onProgress({ doneBytes, totalBytes }) {
          if (doneBytes > totalBytes / 2) interrupted.abort();
        },
      }),
    ).rejects.toMatchObject({ code: "ABORTED" });
    expect(existsSync(output)).toBe(false);
    expect(readFileSync(`${output}.part.json`, "utf8")).not.toContain(TOKEN);
    proxy.reset();
    const { resumedBytes } = await download();
    expect(resumedBytes).toBeGreaterThan(original.length / 2);
    // A connection that the Worker had closed is tried again: the same range then counts once.
    const asked = [...new Set(rangesAsked())].map(
      (range) => /^bytes=(\d+)-(\d+)$/.exec(range ?? "") ?? [],
    );
    const bytes = asked.reduce((sum, [, first, last]) => sum + Number(last) + 1 - Number(first), 0);
    expect(bytes).toBe(original.length - resumedBytes);
    expect(readFileSync(output).equals(original)).toBe(true);
    expect(leftBehind()).toEqual([]);
  });

  it.each([
    ["of another file", (state: string) => state.replace(/"etag":"[^,]*"/, '"etag":"other"')],
    ["cut off", (state: string) => state.slice(0, 20)],
  ])("begins anew when the state of an earlier run is %s", async (_name, change) => {
    const interrupted = new AbortController();
    const onProgress = () => interrupted.abort();
    await expect(download({ signal: interrupted.signal, onProgress })).rejects.toThrow();
    writeFileSync(`${output}.part`, Buffer.alloc(original.length, 7));
    writeFileSync(`${output}.part.json`, change(readFileSync(`${output}.part.json`, "utf8")));
    expect(await download()).toMatchObject({ resumedBytes: 0 });
    expect(readFileSync(output).equals(original)).toBe(true);
  });

  it("follows a link to the latest version to one that stays, and begins anew when it does not", async () => {
    proxy.fail({ status: 412, when: isRange });
    const result = await download({ url: linkTo("latest") });
    expect(result).toMatchObject({ txid: 1n });
    const heads = proxy.requests.filter(({ method }) => method === "HEAD");
    expect(heads.map(({ target }) => target.split("/").at(-2))).toEqual([
      "latest",
      TXID,
      "latest",
      TXID,
    ]);
    expect(readFileSync(output).equals(original)).toBe(true);
  });

  it.each([
    [
      "an unknown TXID",
      () => ({ url: linkTo("0000000000000063") }),
      "TXID_TOO_NEW",
      /beyond the newest/,
    ],
    ["no token", () => ({ token: undefined }), "TOKEN_INVALID", /set EDDY_TOKEN/],
    ["a wrong token", () => ({ token: "wrong" }), "TOKEN_INVALID", /EDDY_TOKEN holds another/],
    [
      "a page that is no file",
      () => ({ url: new URL(`${worker.url}/healthz`) }),
      "R2_ERROR",
      /no restore link/,
    ],
  ])("refuses %s", async (_name, options, code, message) => {
    await expect(download(options())).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(existsSync(output)).toBe(false);
  });

  it("leaves a database alone that an application has made meanwhile", async () => {
    const onProgress = () => writeFileSync(output, "the application's");
    await expect(download({ onProgress })).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
    expect(readFileSync(output, "utf8")).toBe("the application's");
  });

  it("keeps nothing of a file that fails its integrity check", async () => {
    const interrupted = new AbortController();
    const onProgress = ({ doneBytes, totalBytes }: { doneBytes: number; totalBytes: number }) => {
      if (doneBytes > totalBytes / 2) interrupted.abort();
    };
    await expect(download({ signal: interrupted.signal, onProgress })).rejects.toThrow();
    const part = readFileSync(`${output}.part`);
    const { done_bytes } = JSON.parse(readFileSync(`${output}.part.json`, "utf8")) as {
      done_bytes: number[];
    };
    expect(done_bytes[0]).toBeGreaterThan(4096);
    // What lay on the disk meanwhile was damaged.
    part.fill(0xff, 100, 4096);
    writeFileSync(`${output}.part`, part);
    await expect(download()).rejects.toMatchObject({ code: "CORRUPT_PAGE" });
    expect(leftBehind()).toEqual([]);
    expect(existsSync(output)).toBe(false);
  });
});

describe("eddy restore https://…", () => {
  const env = { EDDY_TOKEN: TOKEN };

  it("downloads with the token of the environment, and says what it did", async () => {
    const args = ["restore", linkTo("latest").href, "-o", output, "--json"];
    const { status, stdout, stderr } = await eddy(args, env);
    expect(status, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      db_path: output,
      txid: TXID,
      size_bytes: original.length,
      resumed_bytes: 0,
      integrity_check: "quick",
    });
    expect(readFileSync(output).equals(original)).toBe(true);
    expect(await eddy(args, env)).toMatchObject({ status: 1 });
    expect(await eddy([...args, "--force"], env)).toMatchObject({ status: 0 });
  });

  it.each([
    ["a moment beside the link's own", ["--txid", "txid:1"], /names its moment itself/],
    ["to follow it", ["--follow"], /name the replica/],
    ["a dry run of it", ["--dry-run"], /name the replica/],
  ])("refuses %s", async (_name, flags, message) => {
    const result = await eddy(["restore", linkTo(TXID).href, "-o", output, ...flags], env);
    expect(result.stderr).toMatch(message);
    expect(result.status).toBe(2);
  });

  it("sends no token in the clear", async () => {
    const result = await eddy(["restore", "http://eddy.example/app.db", "-o", output], env);
    expect(result.stderr).toContain("use https");
    expect(result.status).toBe(2);
  });

  it("does nothing, successfully, with --if-replica-exists where there is no such database", async () => {
    const link = linkTo(TXID).href.replace("/app/", "/other/");
    const args = ["restore", link, "-o", output];
    expect(await eddy(args, env)).toMatchObject({ status: 3 });
    expect(await eddy([...args, "--if-replica-exists"], env)).toMatchObject({ status: 0 });
  });
});
