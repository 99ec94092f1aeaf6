import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { replicate, type ReplicateOptions } from "../../replicator/index.ts";
import { openReplica } from "../../replicator/storage/open-store.ts";
import { restoreDatabase } from "../../replicator/restore/restore-database.ts";
import { Application } from "../support/application.ts";
import { contentOf } from "../support/database-equality.ts";

const APPLICATION = fileURLToPath(new URL("../support/library-application.ts", import.meta.url));

let folder: string;
let path: string;
let url: string;
let database: DatabaseSync;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-library-"));
  path = join(folder, "app.db");
  url = `file://${join(folder, "replica")}`;
  database = new DatabaseSync(path);
  database.exec("PRAGMA journal_mode = wal; CREATE TABLE t (a)");
});
afterEach(() => {
  if (database.isOpen) database.close();
  rmSync(folder, { recursive: true, force: true });
});

async function restoredRows(): Promise<unknown[]> {
  const output = join(folder, `restored-${Math.random()}`);
  const replica = openReplica(url, { env: {}, writing: false });
  const target = { kind: "latest" } as const;
  await restoreDatabase(replica, { output, target, integrityCheck: "full", force: false });
  return (contentOf(output).tables["t"] ?? []).flat();
}

/** The process that replicates, as it has noted itself beside the database. */
function childPid(): number {
  return Number(readFileSync(join(folder, ".app.db-litestream", "eddy.pid"), "utf8"));
}

/** Resolves when there is no such process any more. */
async function whenGone(pid: number): Promise<void> {
  await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 20_000 }).toBe(false);
}

/** Starts the application; resolves when ten rows are uploaded. */
async function startApplication(end: "leave" | "stay") {
  const child = spawn(process.execPath, [APPLICATION, path, url, end], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  expect(line.toString()).toMatch(/^uploaded [0-9a-f]{16}\n$/);
  return { child, exited, replicator: childPid() };
}

describe("replicate", () => {
  it("ships what this process writes, and says when it is in the store", async () => {
    const events: string[] = [];
    const onEvent: ReplicateOptions["onEvent"] = ({ event }) => events.push(event);
    const replica = await replicate({ path, url, onEvent });
    const txids: (string | undefined)[] = [];
    for (let row = 1n; row <= 3n; row++) {
      database.prepare("INSERT INTO t VALUES (?)").run(row);
      txids.push((await replica.waitForUpload()).txid);
      expect((await restoredRows()).at(-1)).toBe(row);
    }
    expect(txids.at(-1)).toMatch(/^[0-9a-f]{16}$/);
    expect(new Set(txids).size).toBe(3);
    expect(await replica.status()).toMatchObject({
      txid: txids.at(-1),
      uploadedTxid: txids.at(-1),
      waiting: 0,
    });
    database.exec("INSERT INTO t VALUES ('left')");
    await replica.close();
    await replica.close();
    expect(await restoredRows()).toEqual([1n, 2n, 3n, "left"]);
    expect(events).toEqual(expect.arrayContaining(["started", "staged", "uploaded", "stopped"]));
    await expect(replica.waitForUpload()).rejects.toMatchObject({ code: "ABORTED" });
  });

  it("leaves the locks of this process alone, from its start to its end", async () => {
    await using other = await Application.open(path);
    await other.run("PRAGMA busy_timeout = 0");
    database.exec("BEGIN IMMEDIATE; INSERT INTO t VALUES ('mine')");
    {
      await using replica = await replicate({ path, url });
      await expect(other.run("INSERT INTO t VALUES ('not now')")).rejects.toThrow("locked");
      await replica.waitForUpload();
    }
    await expect(other.run("INSERT INTO t VALUES ('nor now')")).rejects.toThrow("locked");
    database.exec("COMMIT");
    await using replica = await replicate({ path, url });
    await other.run("INSERT INTO t VALUES ('theirs')");
    await replica.waitForUpload();
    expect(await restoredRows()).toEqual(["mine", "theirs"]);
    expect(contentOf(path).integrity).toBe("ok");
  });

  it("takes no lease where it is told so", async () => {
    for (const lease of [false, undefined]) {
      const options = lease === undefined ? {} : { lease };
      await using replica = await replicate({ path, url, ...options });
      database.exec("INSERT INTO t VALUES (1)");
      await replica.waitForUpload();
      expect(existsSync(join(folder, "replica", "lock.json"))).toBe(lease !== false);
    }
  });

  it("takes milliseconds or a duration, and its own environment", async () => {
    const env = { AWS_ACCESS_KEY_ID: "", LITESTREAM_ACCESS_KEY_ID: "" };
    await using replica = await replicate({ path, url, env, syncInterval: "10ms" });
    expect(await replica.waitForUpload()).toEqual({ txid: "0000000000000001" });
  });

  it.each([
    ["a database that is not there", { path: "/nowhere/app.db" }, "SOURCE_INVALID", "no such file"],
    ["a URL of no kind", { url: "ftp://host/x" }, "BAD_CONFIG", "ftp"],
    ["a duration that is none", { syncInterval: "soon" }, "BAD_CONFIG", "syncInterval"],
    ["a bucket without credentials", { url: "s3://b/p" }, "BAD_CONFIG", "AWS_ACCESS_KEY_ID"],
  ])("refuses %s as the command line does", async (_name, wrong, code, message) => {
    const env = { AWS_ACCESS_KEY_ID: "", LITESTREAM_ACCESS_KEY_ID: "" };
    await expect(replicate({ path, url, env, ...wrong })).rejects.toMatchObject({
      name: "ReplicaError",
      code,
      message: expect.stringContaining(message),
    });
  });

  it("refuses a database that is replicated already", async () => {
    await using _first = await replicate({ path, url });
    await expect(replicate({ path, url })).rejects.toMatchObject({ code: "WRITER_CONFLICT" });
  });

  it("tells whoever waits when its process is killed, and nobody twice", async () => {
    const onError = vi.fn<(error: Error) => void>();
    const replica = await replicate({ path, url, onError });
    process.kill(childPid(), "SIGSTOP");
    const waiting = replica.waitForUpload();
    waiting.catch(() => undefined);
    process.kill(childPid(), "SIGKILL");
    await expect(waiting).rejects.toMatchObject({
      code: "ABORTED",
      message: expect.stringContaining("SIGKILL"),
    });
    await replica.close();
    expect(onError).not.toHaveBeenCalled();
  });

  it("tells of its end when nobody waits", async () => {
    const failed = Promise.withResolvers<Error>();
    const replica = await replicate({ path, url, onError: failed.resolve });
    await replica.waitForUpload();
    rmSync(path);
    expect(await failed.promise).toMatchObject({ code: "SOURCE_INVALID" });
    await replica.close();
  });
});

describe("the process of an application that uses the library", () => {
  it("takes its replicator along when it is killed, and what was committed is not lost", async () => {
    const { child, exited, replicator } = await startApplication("stay");
    child.kill("SIGKILL");
    await exited;
    await whenGone(replicator);
    expect((await restoredRows()).at(-1)).toBe("last");
  });

  it("is not kept alive by its replicator", async () => {
    const { exited, replicator } = await startApplication("leave");
    expect(await exited).toEqual([0, null]);
    await whenGone(replicator);
    expect(await restoredRows()).toHaveLength(11);
  });
});
