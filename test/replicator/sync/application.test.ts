import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Application } from "../../support/application.ts";
import { CaptureFixture } from "../../support/capture-fixture.ts";
import {
  createLiveDatabase,
  differingPages,
  imageNow,
  type LiveDatabase,
} from "../../support/live-database.ts";

const KINDS = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"];
const insert = (bytes: number) => `INSERT INTO t (body) VALUES (randomblob(${bytes}))`;

let live: LiveDatabase;
let path: string;
beforeEach(() => {
  live = createLiveDatabase();
  ({ path } = live);
  live.app.close();
});
afterEach(() => live[Symbol.dispose]());

async function openApplication(): Promise<Application> {
  const application = await Application.open(path);
  await application.run("PRAGMA busy_timeout = 0");
  return application;
}

async function expectEqual(fixture: CaptureFixture): Promise<void> {
  expect(differingPages(await fixture.merged(), imageNow(fixture.source), 512)).toEqual([]);
}

/** One run of the replicator, up to where all that is committed is staged. */
async function shipAll(previous?: CaptureFixture): Promise<CaptureFixture> {
  const fixture = await CaptureFixture.start(path, { replica: previous?.replica });
  await fixture.captureAll();
  return fixture;
}

describe("WalCapture beside an application that checkpoints", () => {
  it.each(KINDS)("loses nothing to %s, and ships no second image for it", async (kind) => {
    await using application = await openApplication();
    using fixture = await shipAll();
    for (let round = 0; round < 9; round++) {
      await application.run(`${insert(400 * round)}; PRAGMA wal_checkpoint(${kind})`);
      await application.run("PRAGMA user_version = 5");
      if (round % 3 === 2) {
        // All of the log is in the file now, and the application's checkpoint may end it once.
        await fixture.checkpoint();
        await application.run(`PRAGMA wal_checkpoint(${kind})`);
      }
      if (round % 2 === 1) {
        for (const { imageReason } of await fixture.captureAll())
          expect(imageReason).toBeUndefined();
        await expectEqual(fixture);
      }
    }
    await fixture.captureAll();
    await expectEqual(fixture);
  });

  it("cannot have a log that was not read begun anew", async () => {
    await using application = await openApplication();
    using fixture = await shipAll();
    await application.run(insert(5_000));
    const size = statSync(`${path}-wal`).size;
    for (const kind of KINDS) await application.run(`PRAGMA wal_checkpoint(${kind})`);
    await application.run(insert(10));
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(size);
    expect(await fixture.captureAll()).toMatchObject([{ imageReason: undefined }]);
    await expectEqual(fixture);
  });
});

describe("a replicator that was down", () => {
  it("goes on in the log where it stopped, without a full image", async () => {
    await using application = await openApplication();
    const first = await shipAll();
    await application.run(insert(2_000));
    await first.captureAll();
    await first.upload();
    first[Symbol.dispose]();
    await application.run(`${insert(3_000)}; DELETE FROM t WHERE id = 1`);
    using second = await shipAll(first);
    expect(second.isResumed).toBe(true);
    expect(await second.staging.txids()).toEqual([2n, 3n]);
    expect((await second.decode(await newest(second))).pages.length).toBeLessThan(12);
    await second.upload();
    using third = await shipAll(second);
    expect(third.isResumed).toBe(true);
    expect(third.capture.txid).toBe(3n);
  });

  it("goes on in the log also when both processes were killed", async () => {
    const application = await openApplication();
    const first = await shipAll();
    await application.run(insert(2_000));
    await first.captureAll();
    await application.run(insert(2_000));
    // As it is when both end at once: our own connections live on in this process, and tidy up.
    const log = readFileSync(`${path}-wal`);
    const image = readFileSync(path);
    await application.kill();
    first[Symbol.dispose]();
    restoreFiles(image, log);
    using second = await CaptureFixture.start(path, { replica: first.replica });
    expect(second.isResumed).toBe(true);
    expect(await second.captureAll()).toEqual([]);
    await expectEqual(second);
  });

  it.each(KINDS.flatMap((kind) => [["less", kind, 10] as const, ["more", kind, 9_000] as const]))(
    "compares the whole database when the log was begun anew with %s than it had read: %s",
    async (_name, kind, bytes) => {
      await using application = await openApplication();
      const first = await shipAll();
      await application.run(insert(5_000));
      await first.captureAll();
      first[Symbol.dispose]();
      // Commits that nobody read, checkpointed away, and a log begun anew: Litestream's known hole.
      await application.run(`${insert(600)}; PRAGMA wal_checkpoint(${kind})`);
      await application.run(insert(bytes));
      using second = await shipAll(first);
      expect(second.isResumed).toBe(false);
      expect(second.events).toMatchObject([{ event: "compared" }]);
      await expectEqual(second);
    },
  );

  it("compares the whole database when the log is gone", async () => {
    const application = await openApplication();
    const first = await shipAll();
    first[Symbol.dispose]();
    await application.run(insert(600));
    await application.close();
    expect(existsSync(`${path}-wal`)).toBe(false);
    using second = await shipAll(first);
    expect(second.isResumed).toBe(false);
    expect(second.events).toMatchObject([{ event: "compared" }]);
    await expectEqual(second);
  });

  it("compares the whole database when the log was cut off behind its back", async () => {
    const application = await openApplication();
    const first = await shipAll();
    await application.run(insert(5_000));
    await first.captureAll();
    const log = readFileSync(`${path}-wal`);
    const image = readFileSync(path);
    await application.kill();
    first[Symbol.dispose]();
    restoreFiles(image, log);
    truncateSync(`${path}-wal`, log.length - 600);
    using second = await shipAll(first);
    expect(second.isResumed).toBe(false);
    expect(second.events).toMatchObject([{ event: "compared" }]);
    await expectEqual(second);
  });
});

async function newest(fixture: CaptureFixture) {
  return (await fixture.staging.txids()).at(-1)!;
}

/** Puts back what a crash leaves. */
function restoreFiles(image: Buffer, log: Buffer): void {
  rmSync(`${path}-shm`, { force: true });
  writeFileSync(path, image);
  writeFileSync(`${path}-wal`, log);
}
