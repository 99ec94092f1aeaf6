import { rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { Application } from "../../support/application.ts";
import { CaptureFixture } from "../../support/capture-fixture.ts";
import {
  createLiveDatabase,
  differingPages,
  imageNow,
  type LiveDatabase,
} from "../../support/live-database.ts";

const insert = (bytes: number) => `INSERT INTO t (body) VALUES (randomblob(${bytes}))`;

let live: LiveDatabase;
beforeEach(() => {
  live = createLiveDatabase();
  live.app.close();
});
afterEach(() => live[Symbol.dispose]());

async function expectEqual(fixture: CaptureFixture): Promise<void> {
  const { source } = fixture;
  expect(differingPages(await fixture.merged(), imageNow(source), source.pageSize)).toEqual([]);
}

/** Ships what is there, in a run that ends; nobody has the database open afterwards. */
async function shipOnce(): Promise<Replica> {
  using fixture = await CaptureFixture.start(live.path);
  await fixture.captureAll();
  await fixture.upload();
  return fixture.replica;
}

function whileDown(sql: string): void {
  const app = new DatabaseSync(live.path);
  app.exec(sql);
  app.close();
}

describe("the log, when another process lays hands on it while it is read", () => {
  it.each([
    ["deleted", (path: string) => rmSync(path), "was deleted or replaced"],
    [
      "replaced",
      (path: string) => {
        rmSync(path);
        writeFileSync(path, "");
      },
      "was deleted or replaced",
    ],
    ["emptied", (path: string) => truncateSync(path, 0), "was cut off"],
    ["cut off", (path: string) => truncateSync(path, 5_000), "was cut off"],
  ])("is refused once it was %s, instead of waiting for ever", async (_name, harm, message) => {
    await using application = await Application.open(live.path);
    using fixture = await CaptureFixture.start(live.path);
    await application.run(insert(20_000));
    await fixture.captureAll();
    harm(`${live.path}-wal`);
    // Emptied, it looks like a log that the application is about to begin anew, until it writes.
    if (statSync(`${live.path}-wal`, { throwIfNoEntry: false })?.size !== 5_000)
      await application.run(insert(10)).catch(() => undefined);
    const refusal = {
      code: "SOURCE_INVALID",
      message: expect.stringMatching(
        new RegExp(`app.db-wal ${message}.*stop the application.*start the replicator again`),
      ) as string,
    };
    await expect(fixture.capture.capture()).rejects.toMatchObject(refusal);
    expect(() => fixture.capture.hold()).toThrow(expect.objectContaining(refusal));
    expect(() => fixture.capture.noticeNewLog()).toThrow(expect.objectContaining(refusal));
  });

  it.each([
    ["", "SELECT 1"],
    [", and the application writes on behind the hole", insert(10)],
  ])("is refused when commits that were not read are cut off%s", async (_name, sql) => {
    await using application = await Application.open(live.path);
    using fixture = await CaptureFixture.start(live.path);
    await application.run(insert(20_000));
    await fixture.captureAll();
    const { walBytes } = fixture.capture;
    await application.run(insert(20_000));
    truncateSync(`${live.path}-wal`, walBytes + 3_000);
    await application.run(sql);
    await expect(fixture.capture.capture()).rejects.toMatchObject({
      code: "SOURCE_INVALID",
      message: expect.stringContaining("was cut off") as string,
    });
  });

  it("loses nothing when it was deleted, once the application has closed the database", async () => {
    const application = await Application.open(live.path);
    {
      using fixture = await CaptureFixture.start(live.path);
      await fixture.captureAll();
      await fixture.upload();
      rmSync(`${live.path}-wal`);
      await application.run(insert(900));
      await expect(fixture.capture.capture()).rejects.toMatchObject({ code: "SOURCE_INVALID" });
      await application.close();
    }
    using next = await CaptureFixture.start(live.path);
    await next.captureAll();
    await expectEqual(next);
    expect(await rows(next)).toBe(1);
  });

  it("is not refused when the application empties it by its own checkpoint", async () => {
    await using application = await Application.open(live.path);
    await application.run(insert(20_000));
    using fixture = await CaptureFixture.start(live.path);
    await fixture.captureAll();
    await fixture.checkpoint();
    await application.run("PRAGMA wal_checkpoint(TRUNCATE)");
    expect(statSync(`${live.path}-wal`).size).toBe(0);
    expect(await fixture.captureAll()).toEqual([]);
    await application.run(insert(10));
    expect(await fixture.captureAll()).toMatchObject([{ txid: 2n, imageReason: undefined }]);
    await expectEqual(fixture);
  });

  it("is not refused when it is cut to the application's limit as it is begun anew", async () => {
    await using application = await Application.open(live.path);
    await application.run("PRAGMA journal_size_limit = 3000");
    await application.run(insert(20_000));
    using fixture = await CaptureFixture.start(live.path);
    await fixture.captureAll();
    const sizeBytes = statSync(`${live.path}-wal`).size;
    await fixture.checkpoint();
    await application.run("PRAGMA user_version = 3");
    expect(statSync(`${live.path}-wal`).size).toBeLessThan(sizeBytes);
    expect(await fixture.captureAll()).toMatchObject([{ txid: 2n, imageReason: undefined }]);
    await expectEqual(fixture);
  });
});

describe("the journal mode", () => {
  it("cannot be changed while the replicator reads, and nothing is lost by the attempt", async () => {
    await using application = await Application.open(live.path);
    await application.run("PRAGMA busy_timeout = 0");
    using fixture = await CaptureFixture.start(live.path);
    await application.run(insert(900));
    await fixture.captureAll();
    await expect(application.run("PRAGMA journal_mode = DELETE")).rejects.toThrow("locked");
    await application.run(insert(900));
    expect(await fixture.captureAll()).toMatchObject([{ imageReason: undefined }]);
    await expectEqual(fixture);
  });

  it.each([
    ["and back", `PRAGMA journal_mode = DELETE; ${insert(900)}; PRAGMA journal_mode = WAL`],
    [
      "and back, with a log after it",
      `PRAGMA journal_mode = TRUNCATE; ${insert(900)}; PRAGMA journal_mode = WAL; ${insert(900)}`,
    ],
    ["for good", `PRAGMA journal_mode = DELETE; ${insert(900)}`],
  ])("may change while no replicator runs: out of WAL %s", async (_name, sql) => {
    const replica = await shipOnce();
    whileDown(sql);
    using fixture = await CaptureFixture.start(live.path, { replica });
    expect(await fixture.captureAll()).toMatchObject([{ txid: 2n, imageReason: undefined }]);
    expect(fixture.events).toMatchObject([{ event: "compared" }]);
    await expectEqual(fixture);
    whileDown(insert(10));
    expect(await fixture.captureAll()).toMatchObject([{ txid: 3n }]);
    await expectEqual(fixture);
  });
});

describe("the page size", () => {
  it("stays as it is in WAL mode, whatever VACUUM is told", async () => {
    using fixture = await CaptureFixture.start(live.path);
    await fixture.captureAll();
    whileDown(`${insert(900)}; PRAGMA page_size = 4096; VACUUM`);
    await fixture.captureAll();
    expect(fixture.source.pageSize).toBe(512);
    await expectEqual(fixture);
  });

  it("is refused when VACUUM has changed it while no replicator ran", async () => {
    const replica = await shipOnce();
    whileDown(
      "PRAGMA journal_mode = DELETE; PRAGMA page_size = 4096; VACUUM; PRAGMA journal_mode = WAL",
    );
    await expect(CaptureFixture.start(live.path, { replica })).rejects.toMatchObject({
      code: "SOURCE_INVALID",
      message: expect.stringContaining("replicate to a new path") as string,
    });
    using fixture = await CaptureFixture.start(live.path);
    expect(await fixture.captureAll()).toMatchObject([{ txid: 1n }]);
    await expectEqual(fixture);
  });
});

async function rows(fixture: CaptureFixture): Promise<number> {
  const path = `${fixture.source.path}.restored`;
  writeFileSync(path, await fixture.merged());
  using database = new DatabaseSync(path);
  return Number(database.prepare("SELECT count(*) AS n FROM t").get()?.["n"]);
}
