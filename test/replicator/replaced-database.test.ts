import { spawn } from "node:child_process";
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCliFixture, createDatabase, type CliFixture } from "../support/cli-fixture.ts";
import { contentOf } from "../support/database-equality.ts";
import { eddy } from "../support/eddy-cli.ts";

let fixture: CliFixture;
beforeAll(async () => {
  fixture = await createCliFixture();
}, 60_000);
afterAll(() => fixture.remove());

interface Place {
  readonly path: string;
  readonly url: string;
}

/** A database that was replicated once, to a place of its own. */
async function replicated(name: string): Promise<Place> {
  const path = fixture.at(`${name}.db`);
  const url = `file://${fixture.at(`${name}-replica`)}`;
  createDatabase(path);
  expect(await eddy(["replicate", path, url, "--once"])).toMatchObject({ status: 0 });
  return { path, url };
}

function removeDatabase(path: string): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(path + suffix, { force: true });
}

function createOther(path: string, pageSize = 4096): void {
  const database = new DatabaseSync(path);
  database.exec(`PRAGMA page_size = ${pageSize}; PRAGMA journal_mode = wal`);
  database.exec("CREATE TABLE other (name); INSERT INTO other VALUES ('quite another')");
  database.close();
}

/** Ships the database as it is, and expects the replica to hold all of it then, as the next TXID where it is another: this one, where given. */
async function expectWhole(
  { path, url }: Place,
  txid: unknown = expect.any(String),
): Promise<void> {
  const { status, stdout, stderr } = await eddy(["replicate", path, url, "--once", "--json"]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const events = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { event: string; txid: string });
  const [started, ...staged] = events.filter(({ event }) => /^(started|staged)$/.test(event));
  expect(staged.length).toBeLessThanOrEqual(1);
  // Later still where the last run left a file that is uploaded first.
  for (const file of staged) {
    expect(file).toMatchObject({ txid });
    expect(BigInt(`0x${file.txid}`)).toBeGreaterThan(BigInt(`0x${started?.txid}`));
  }
  const output = `${path}.restored`;
  expect(await eddy(["restore", url, "-o", output])).toMatchObject({ status: 0 });
  expect(contentOf(output)).toEqual(contentOf(path));
}

/** Replicates, does `act` meanwhile, and answers how the process ended. */
async function replicateWhile({ path, url }: Place, act: () => void) {
  const cli = new URL("../../replicator/cli.ts", import.meta.url).pathname;
  const child = spawn(process.execPath, [cli, "replicate", path, url], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let stderr = "";
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  await new Promise<void>((resolve) => {
    void ended.then(() => resolve());
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString();
      if (stderr.includes("replicating ")) resolve();
    });
  });
  act();
  return { status: await ended, stderr };
}

describe("a database that is replaced under its path", () => {
  it("while the replicator is down, is shipped whole as the next TXID", async () => {
    const place = await replicated("down");
    removeDatabase(place.path);
    createOther(place.path);
    await expectWhole(place, "0000000000000002");
  });

  it("while the replicator runs, ends it with a sentence; the next start ships it whole", async () => {
    const place = await replicated("running");
    const { status, stderr } = await replicateWhile(place, () => {
      createOther(`${place.path}.new`);
      // The log last: while the database is in its place, a log that is gone is another matter.
      renameSync(`${place.path}.new`, place.path);
      for (const suffix of ["-wal", "-shm"]) rmSync(place.path + suffix, { force: true });
    });
    expect(stderr).toContain(
      "was replaced or removed while it was replicated: start the replicator again",
    );
    expect(status).toBe(1);
    expect(contentOf(place.path).tables).toHaveProperty("other");
    await expectWhole(place);
  });

  it("is refused with another page size, with a sentence on how to start anew; the replica stays as it is", async () => {
    const place = await replicated("pages");
    removeDatabase(place.path);
    createOther(place.path, 1024);
    const { status, stderr } = await eddy(["replicate", place.path, place.url, "--once"]);
    expect(stderr).toMatch(/pages of 1024 bytes now, .* have 4096: .* replicate to a new path/);
    expect(status).toBe(1);
    const second = `file://${fixture.at("pages-second")}`;
    expect(await eddy(["replicate", place.path, second, "--once"])).toMatchObject({ status: 0 });
    const output = fixture.at("pages-old.db");
    expect(await eddy(["restore", place.url, "-o", output])).toMatchObject({ status: 0 });
    expect(contentOf(output).tables).toHaveProperty("t");
  });

  it("by an older state of itself, goes on with that as the next TXID", async () => {
    const place = await replicated("restored");
    const database = new DatabaseSync(place.path);
    database.exec("INSERT INTO t (body) VALUES ('a mistake')");
    database.close();
    expect(await eddy(["replicate", place.path, place.url, "--once"])).toMatchObject({ status: 0 });
    removeDatabase(place.path);
    const restore = ["restore", place.url, "-o", place.path, "--txid", "txid:1"];
    expect(await eddy(restore)).toMatchObject({ status: 0 });
    await expectWhole(place, "0000000000000003");
  });
});

describe("a database that is deleted while it is replicated", () => {
  it("ends the replicator with a sentence; the replica keeps what it has, and a restore goes on", async () => {
    const place = await replicated("deleted");
    const before = contentOf(place.path);
    const { status, stderr } = await replicateWhile(place, () => removeDatabase(place.path));
    expect(stderr).toContain("was replaced or removed while it was replicated");
    expect(status).toBe(1);
    const again = await eddy(["replicate", place.path, place.url, "--once"]);
    expect(again.stderr).toContain("there is no such file; the replicator creates no database");
    expect(existsSync(place.path)).toBe(false);
    expect(await eddy(["restore", place.url, "-o", place.path])).toMatchObject({ status: 0 });
    expect(contentOf(place.path)).toEqual(before);
    await expectWhole(place);
  });
});

describe("a source that is closed after its file was replaced", () => {
  it("leaves the log of the new database alone", async () => {
    const { SourceDatabase } = await import("../../replicator/source/source-database.ts");
    const path = fixture.at("closed.db");
    createDatabase(path);
    const source = SourceDatabase.open(path);
    source.holdReadLock();
    createOther(`${path}.new`);
    for (const suffix of ["-wal", "-shm"]) rmSync(path + suffix, { force: true });
    renameSync(`${path}.new`, path);
    const application = new DatabaseSync(path);
    application.exec("INSERT INTO other VALUES ('in the log only')");
    const log = readFileSync(`${path}-wal`);
    source.close();
    expect(readFileSync(`${path}-wal`).equals(log)).toBe(true);
    application.close();
    expect(contentOf(path).tables["other"]).toHaveLength(2);
  });
});
