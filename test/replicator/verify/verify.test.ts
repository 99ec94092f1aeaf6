import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decodeLtx } from "../../../shared/ltx/decoder.ts";
import { encodeLtx } from "../../../shared/ltx/encoder.ts";
import { eddy } from "../../support/eddy-cli.ts";
import { concatBytes } from "../../support/ltx-fixtures.ts";

const CLI = fileURLToPath(new URL("../../../replicator/cli.ts", import.meta.url));

let folder: string;
let application: DatabaseSync;
let replicator: ChildProcess | undefined;
const at = (name: string) => join(folder, name);
const url = () => `file://${at("replica")}`;
const fileOf = (txid: number, level = 0) => {
  const hex = txid.toString(16).padStart(16, "0");
  return at(`replica/ltx/${level}/${hex}-${hex}.ltx`);
};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "eddy-verify-test-"));
  application = new DatabaseSync(at("app.db"), { timeout: 5_000 });
  application.exec(
    `PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT);
     WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
       INSERT INTO t SELECT i, 'a row that is number ' || i FROM n;
     CREATE TABLE gone AS SELECT * FROM t; DROP TABLE gone`,
  );
  await replicate(() => {
    application.exec("UPDATE t SET body = 'changed' WHERE id = 7");
    return 2;
  });
});
afterEach(async () => {
  await stop("SIGKILL");
  if (application.isOpen) application.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Starts a replicator, lets `write` commit once TXID 1 is stored, and waits for the TXID that it answers. */
async function replicate(write: () => number): Promise<void> {
  const args = [CLI, "replicate", at("app.db"), url(), "--json"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  replicator = child;
  let wanted: string | undefined;
  for await (const line of createInterface(child.stdout)) {
    const event = JSON.parse(line) as { event: string; txid: string };
    if (event.event !== "uploaded") continue;
    if (event.txid === wanted) return;
    wanted ??= write().toString(16).padStart(16, "0");
  }
}

async function stop(signal: NodeJS.Signals): Promise<void> {
  if (!replicator || replicator.exitCode !== null || replicator.signalCode !== null) return;
  const ended = once(replicator, "exit");
  replicator.kill(signal);
  await ended;
}

/** What the command answers as JSON, with its exit code. */
async function verify(...flags: string[]) {
  const { status, stdout, stderr } = await eddy(["verify", url(), "--json", ...flags], {
    TMPDIR: folder,
  });
  const [report, error] = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(stderr).toBe("");
  return { status, report, error };
}

function damage(path: string, offset: number): void {
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] ?? 0) ^ 0x10;
  writeFileSync(path, bytes);
}

describe("eddy verify", () => {
  it("finds a sound replica sound, and equal to the live database, while both are in use", async () => {
    const { status, report } = await verify("--db", at("app.db"));
    expect(report).toMatchObject({
      ok: true,
      files: 2,
      levels: [{ level: 0, files: 2, max_txid: "0000000000000002", gaps: [] }],
      damaged: [],
      restored: { txid: "0000000000000002", integrity_check: "full" },
      live: { state: "equal" },
    });
    expect(status).toBe(0);
    expect(readdirSync(folder).filter((name) => name.startsWith("eddy-verify-"))).toEqual([]);
    // The application goes on, and the replicator with it.
    application.exec("DELETE FROM t WHERE id = 8");
    expect(existsSync(at("app.db-wal"))).toBe(true);
  });

  it("names every damaged file, the page where it is one, and still restores what can be", async () => {
    damage(fileOf(1), 200);
    damage(fileOf(2), readFileSync(fileOf(2)).length - 1);
    const { status, report, error } = await verify();
    expect(report).toMatchObject({
      ok: false,
      damaged: [
        { key: expect.stringContaining("ltx/0/0000000000000001"), message: /page \d+ / },
        { key: expect.stringContaining("ltx/0/0000000000000002"), message: /checksum/ },
      ].map(({ key, message }) => ({ key, message: expect.stringMatching(message) })),
      restored: { code: "CORRUPT_PAGE" },
    });
    expect(error).toMatchObject({ code: "CORRUPT_PAGE", error: expect.stringContaining("1 more") });
    expect(status).toBe(4);
    const first = await verify("--txid", "txid:1");
    expect(first.status).toBe(4);
  });

  it("names a TXID that no file holds, with exit code 3", async () => {
    application.exec("UPDATE t SET body = 'again' WHERE id = 9");
    await stop("SIGTERM");
    expect(existsSync(fileOf(3))).toBe(true);
    unlinkSync(fileOf(2));
    const { status, report, error } = await verify();
    expect(report).toMatchObject({
      levels: [
        {
          gaps: [{ min_txid: "0000000000000002", max_txid: "0000000000000002", bridged: false }],
        },
      ],
      restored: { code: "REPLICA_GAP" },
    });
    expect(error).toMatchObject({ code: "REPLICA_GAP" });
    expect(status).toBe(3);
    const text = await eddy(["verify", url()]);
    expect(text.stdout).toContain("lacks TXID 0000000000000002, which NO FILE holds");
    // What lies before the hole is as good as ever.
    unlinkSync(fileOf(3));
    expect(await verify()).toMatchObject({ status: 0 });
  });

  it("finds the page in which the replica differs from the live database", async () => {
    const { header, pages } = decodeLtx(readFileSync(fileOf(1)));
    const changed = pages.map(({ pgno, data }) => {
      const text = Buffer.from(data).indexOf("a row that is number 333");
      if (text >= 0) data.set(Buffer.from("A ROW"), text);
      return { pgno, data };
    });
    writeFileSync(fileOf(1), concatBytes([...encodeLtx(header, changed)]));
    const { status, report, error } = await verify("--db", at("app.db"));
    expect(report).toMatchObject({
      ok: false,
      damaged: [],
      restored: { txid: "0000000000000002" },
      live: { state: "differs", difference: { count: 1 } },
    });
    expect(error).toMatchObject({
      code: "CORRUPT_PAGE",
      error: expect.stringMatching(/differ at TXID 0000000000000002 in 1 pages, first in page \d+/),
    });
    expect(status).toBe(4);
  });

  it("calls nothing a difference that may be a newer commit", async () => {
    await stop("SIGKILL");
    application.exec("UPDATE t SET body = 'not shipped yet' WHERE id = 10");
    const { status, report } = await verify("--db", at("app.db"));
    expect(report).toMatchObject({
      ok: true,
      live: { state: "not-comparable", reason: expect.stringContaining("quiet moment") },
    });
    expect(status).toBe(0);
    const earlier = await verify("--db", at("app.db"), "--txid", "txid:1");
    expect(earlier.report).toMatchObject({
      live: { state: "not-comparable", reason: expect.stringContaining("0000000000000002") },
    });
  });

  it("keeps its result beside the replica when it is told to, where no listing of LTX files sees it", async () => {
    const { report } = await verify("--record");
    const path = at("replica/eddy/verify/0000000000000002.json");
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject(report ?? {});
    expect(await verify()).toMatchObject({ status: 0, report: { files: 2 } });
  });

  it.each([
    ["an empty place", () => ["verify", `file://${at("nothing")}`], 3, /there is no LTX file/],
    [
      "a live database that is not there",
      () => ["verify", url(), "--db", at("no.db")],
      1,
      /no such file/,
    ],
    ["an unknown TXID", () => ["verify", url(), "--txid", "txid:99"], 3, /beyond the newest/],
  ])("refuses %s", async (_name, args, status, message) => {
    const result = await eddy(args());
    expect(result.stderr).toMatch(message);
    expect(result.status).toBe(status);
  });
});
