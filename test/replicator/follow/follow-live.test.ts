/** The command line's follower, as it is used: an application writes, a replicator ships, programs read. */
import { fork, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { setImmediate } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FollowEvent } from "../../../replicator/follow/follow-events.ts";
import { contentOf } from "../../support/database-equality.ts";
import type { ReaderReport } from "../../support/database-reader.ts";
import { eddy } from "../../support/eddy-cli.ts";

const CLI = fileURLToPath(new URL("../../../replicator/cli.ts", import.meta.url));
const READER = fileURLToPath(new URL("../../support/database-reader.ts", import.meta.url));
const COMMITS = 3_000;
/** After so many the follower has a turn, however slow the machine is. */
const BURST = 50;

let folder: string;
const children: ChildProcess[] = [];
const at = (name: string) => join(folder, name);
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "eddy-follow-"))));
afterEach(async () => {
  for (const child of children.splice(0)) await end(child, "SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

/** A command that prints events, one JSON value a line; `until` answers the first that fits from now on. */
function start(...args: string[]) {
  const child = spawn(process.execPath, [CLI, ...args, "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  children.push(child);
  const events: FollowEvent[] = [];
  let onEvent: (() => void) | undefined;
  createInterface(child.stdout).on("line", (line) => {
    events.push(JSON.parse(line) as FollowEvent);
    onEvent?.();
  });
  const ended = once(child, "exit").then(() => Promise.reject(new Error(`${args[0]} has ended`)));
  ended.catch(() => undefined);
  let seen = 0;
  const until = async (fits: (event: { event: string; txid?: string }) => boolean) => {
    for (;;) {
      for (; seen < events.length; seen++) if (fits(events[seen])) return events[seen];
      await Promise.race([ended, new Promise<void>((resolve) => (onEvent = resolve))]);
    }
  };
  return { child, events, until };
}

async function reportOf(reader: ChildProcess): Promise<ReaderReport> {
  const reported = once(reader, "message") as Promise<[ReaderReport]>;
  reader.send("stop");
  return (await reported)[0];
}

const isApplied = ({ event }: { event: string }) => event === "applied";

/** Small commits, some of which make the database smaller. */
async function write(database: DatabaseSync, first: number, count: number): Promise<void> {
  for (let i = first; i < first + count; i++) {
    database.exec(
      i % 50 === 49
        ? "BEGIN; DELETE FROM t WHERE id % 7 = 0; INSERT INTO t (body) VALUES (hex(randomblob(700)))"
        : "BEGIN; INSERT INTO t (body) VALUES (hex(randomblob(200)))",
    );
    // Ever more rows, so that a reader can tell older states from newer ones.
    database.exec(
      `INSERT INTO t (body) SELECT 'again' FROM t LIMIT 1 + (SELECT max(0, n - (SELECT count(*) FROM t)) FROM counter);
       UPDATE counter SET n = (SELECT count(*) FROM t); COMMIT`,
    );
    if (i % 10 === 0) await setImmediate();
  }
}

describe("eddy restore --follow", () => {
  it("keeps a database up to date under a program that reads it all the time", async () => {
    const url = `file://${at("replica")}`;
    const application = new DatabaseSync(at("app.db"), { timeout: 10_000 });
    application.exec(
      `PRAGMA page_size = 1024; PRAGMA auto_vacuum = 1; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
       CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT); CREATE INDEX t_body ON t (body);
       CREATE TABLE counter (n INTEGER); INSERT INTO counter VALUES (0)`,
    );
    const replicator = start("replicate", at("app.db"), url, "--sync-interval", "10ms");
    await replicator.until(({ event }) => event === "uploaded");
    const args = ["restore", url, "-o", at("read.db"), "-f", "--follow-interval", "5ms"];
    const follower = start(...args);
    await follower.until(({ event }) => event === "following");
    const reader = fork(READER, [at("read.db")]);
    children.push(reader);
    await once(reader, "message");
    for (let i = 0; i < COMMITS / 2; i += BURST) {
      await write(application, i, BURST);
      await follower.until(isApplied);
    }
    await write(application, COMMITS / 2, BURST);
    // Once without a chance to end well.
    await end(follower.child, "SIGKILL");
    const second = start(...args);
    for (let i = COMMITS / 2 + BURST; i < COMMITS; i += BURST) {
      await write(application, i, BURST);
      await second.until(isApplied);
    }
    application.close();
    replicator.child.kill("SIGTERM");
    const stopped = await replicator.until(({ event }) => event === "stopped");
    const newest = (stopped as unknown as { uploaded_txid: string }).uploaded_txid;
    await second.until(({ txid }) => txid === newest);
    const report = await reportOf(reader);
    expect(report.faults).toEqual([]);
    expect(report.states).toBeGreaterThan(10);
    second.child.kill("SIGTERM");
    await second.until(({ event }) => event === "stopped");
    expect(readFileSync(at("read.db-txid"), "utf8")).toBe(`${newest}\n`);
    expect(existsSync(at("read.db-journal"))).toBe(false);
    const content = contentOf(at("read.db"));
    expect(content.integrity).toBe("ok");
    expect(content).toEqual(contentOf(at("app.db")));
    for (const event of second.events) {
      if (event.event === "applied") expect(event.lag_ms).toBeGreaterThanOrEqual(0);
    }
  }, 120_000);

  it.each([
    ["a moment", ["--timestamp", "-5m"], /leave --txid and --timestamp out/],
    ["an interval without a unit", ["--follow-interval", "5"], /no duration/],
    ["an interval of nothing", ["--follow-interval", "0"], /at least 1ms/],
  ])("refuses %s", async (_name, flags, message) => {
    const { status, stderr } = await eddy([
      "restore",
      `file://${at("replica")}`,
      "-o",
      at("read.db"),
      "-f",
      ...flags,
    ]);
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });

  it("takes no database that was not restored for it, unless it is told to", async () => {
    const database = new DatabaseSync(at("mine.db"));
    database.exec("PRAGMA journal_mode = WAL; CREATE TABLE mine (id)");
    database.close();
    const url = `file://${at("replica")}`;
    expect(await eddy(["replicate", at("mine.db"), url, "--once"])).toMatchObject({ status: 0 });
    const args = ["restore", url, "-o", at("mine.db"), "--follow"];
    const { status, stderr } = await eddy(args);
    expect(stderr).toContain("mine.db exists already");
    expect(status).toBe(1);
    const follower = start(...args, "--force");
    await follower.until(({ event }) => event === "following");
    expect(readFileSync(at("mine.db-txid"), "utf8")).toBe("0000000000000001\n");
  });
});
