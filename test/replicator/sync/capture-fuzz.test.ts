/**
 * The writer and restart fuzz of the contract (9.4 and 9.5): random SQL, random checkpoints, restarts after
 * whatever an application may do while nobody looks. Equality is SQLite's own view, page for page.
 */
import { rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { seededRandom, type Random } from "../../../tools/demo/random.ts";
import { CaptureFixture } from "../../support/capture-fixture.ts";
import { copyAsAfterCrash } from "../../support/crash-copy.ts";
import { createLiveDatabase, differingPages, imageNow } from "../../support/live-database.ts";
import { expectRemembered } from "../../support/remembered-pages.ts";

/** A replicator that ends closes one of its connections in a thread, a moment later. */
const BUSY_TIMEOUT_MS = 5_000;
const KINDS = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"] as const;

/** One statement or transaction of an application, of every kind that changes pages in its own way. */
function randomSql(random: Random, pageSize: number): string {
  const id = random.below(60);
  const bytes = random.below(4 * pageSize);
  const insert = `INSERT INTO t (body) VALUES (randomblob(${bytes}))`;
  const remove = `DELETE FROM t WHERE id % 7 = ${random.below(7)}`;
  const table = `s${random.below(4)}`;
  return random.pick([
    insert,
    `UPDATE t SET body = randomblob(${bytes}) WHERE id = ${id}`,
    remove,
    `BEGIN; ${insert}; SAVEPOINT a; ${insert}; ${insert}; ROLLBACK TO a; ${remove}; COMMIT`,
    `BEGIN; SAVEPOINT a; ${insert}; SAVEPOINT b; ${remove}; RELEASE b; ROLLBACK TO a; ${insert}; COMMIT`,
    `BEGIN; ${insert}; ${insert}; ${insert}; ${insert}; ${insert}; ROLLBACK`,
    `CREATE TABLE IF NOT EXISTS ${table} (x); INSERT INTO ${table} VALUES (randomblob(${bytes}))`,
    `BEGIN; CREATE TABLE IF NOT EXISTS ${table} (x); CREATE TABLE z (x); DROP TABLE ${table}; DROP TABLE z; COMMIT`,
    `DROP TABLE IF EXISTS ${table}`,
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) INSERT INTO t (body) SELECT randomblob(${Math.ceil(bytes / 8)}) FROM n`,
    "PRAGMA user_version = 7",
  ]);
}

function randomUpkeep(random: Random): string {
  return random.pick([
    "VACUUM",
    `PRAGMA incremental_vacuum(${1 + random.below(30)})`,
    ...KINDS.map((kind) => `PRAGMA wal_checkpoint(${kind})`),
  ]);
}

function runAll(app: DatabaseSync, sql: string): void {
  // A checkpoint that has to wait for the replicator's own reader would wait in vain.
  if (sql.startsWith("PRAGMA wal_checkpoint")) app.exec("PRAGMA busy_timeout = 0");
  // Some pragmas work a step at a time: their rows must be read.
  if (sql.startsWith("PRAGMA incremental_vacuum")) app.prepare(sql).all();
  else app.exec(sql);
  app.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
}

function openApp(path: string, cachePages: number): DatabaseSync {
  const app = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  app.exec(
    `PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = OFF; PRAGMA cache_size = ${cachePages}`,
  );
  return app;
}

async function expectEqual(fixture: CaptureFixture): Promise<void> {
  const { source } = fixture;
  expect(differingPages(await fixture.merged(), imageNow(source), source.pageSize)).toEqual([]);
  await expectRemembered(fixture);
}

function expectSound(image: Buffer, folder: string): void {
  const path = join(folder, "restored.db");
  writeFileSync(path, image);
  using database = new DatabaseSync(path);
  expect(database.prepare("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
}

const CASES = [
  [1, 512, 0, 10],
  [2, 512, 1, 10],
  [3, 512, 2, 10],
  [4, 1024, 1, 2_000],
  [5, 2048, 2, 10],
  [6, 4096, 1, 5],
  [7, 16_384, 2, 5],
  [8, 65_536, 1, 3],
] as const;

describe("WalCapture beside random SQL", () => {
  it.each(CASES)(
    "captures what SQLite sees: seed %i, pages of %i bytes, auto_vacuum %i, %i pages of cache",
    async (seed, pageSize, autoVacuum, cachePages) => {
      const random = seededRandom(seed);
      using live = createLiveDatabase({ pageSize, autoVacuum, cachePages });
      using fixture = await CaptureFixture.start(live.path);
      await fixture.captureAll();
      for (let step = 0; step < 40; step++) {
        runAll(live.app, randomSql(random, pageSize));
        if (random.below(4) === 0) runAll(live.app, randomUpkeep(random));
        if (random.below(6) === 0) await fixture.checkpoint();
        if (random.below(2) === 0) await fixture.captureAll();
        if (step % 10 === 9) {
          await fixture.captureAll();
          await expectEqual(fixture);
        }
      }
      expectSound(await fixture.merged(), live.folder);
      // The log showed all of it: nothing was ever compared.
      expect(fixture.events).toEqual([]);
    },
  );
});

describe("a restart after random SQL", () => {
  it.each(CASES)(
    "goes on without a loss: seed %i, pages of %i bytes, auto_vacuum %i, %i pages of cache",
    async (seed, pageSize, autoVacuum, cachePages) => {
      const random = seededRandom(100 + seed);
      using live = createLiveDatabase({ pageSize, autoVacuum, cachePages });
      live.app.close();
      let images = 0;
      for (let round = 0; round < 6; round++) {
        // Open across the restart or not: the last to close deletes the log.
        const stays = random.below(2) === 0 ? openApp(live.path, cachePages) : undefined;
        {
          using fixture = await CaptureFixture.start(live.path);
          images += (await fixture.captureAll()).filter((file) => file.imageReason).length;
          await expectEqual(fixture);
          const app = openApp(live.path, cachePages);
          for (let step = 0; step < 5; step++) {
            runAll(app, randomSql(random, pageSize));
            if (random.below(3) === 0) runAll(app, randomUpkeep(random));
            if (random.below(3) > 0) await fixture.captureAll();
            if (random.below(5) === 0) await fixture.checkpoint();
          }
          app.close();
        }
        const app = stays ?? openApp(live.path, cachePages);
        for (let step = random.below(4); step > 0; step--) {
          runAll(app, randomSql(random, pageSize));
          if (random.below(2) === 0) runAll(app, randomUpkeep(random));
        }
        app.close();
      }
      using last = await CaptureFixture.start(live.path);
      await last.captureAll();
      await expectEqual(last);
      expectSound(await last.merged(), live.folder);
      // The first, and no other: whatever happened, the rest is what changed.
      expect(images).toBe(1);
    },
  );

  it.each(CASES)(
    "goes on without a loss after a crash: seed %i, pages of %i bytes, auto_vacuum %i, %i pages of cache",
    async (seed, pageSize, autoVacuum, cachePages) => {
      const random = seededRandom(200 + seed);
      using live = createLiveDatabase({ pageSize, autoVacuum, cachePages });
      using fixture = await CaptureFixture.start(live.path);
      await fixture.captureAll();
      for (let round = 0; round < 4; round++) {
        for (let step = 0; step < 6; step++) {
          runAll(live.app, randomSql(random, pageSize));
          if (random.below(3) === 0) runAll(live.app, randomUpkeep(random));
          if (random.below(3) > 0) await fixture.captureAll();
          if (random.below(5) === 0) await fixture.checkpoint();
        }
        const crash = copyAsAfterCrash(fixture);
        const folder = join(crash.folder, ".app.db-litestream");
        // A power failure may take what was not forced to disk.
        if (random.below(2) === 0)
          truncateSync(join(folder, "eddy-pages"), 100 + random.below(900));
        const app = openApp(crash.path, cachePages);
        for (let step = random.below(4); step > 0; step--) runAll(app, randomSql(random, pageSize));
        app.close();
        using next = await CaptureFixture.start(crash.path);
        await next.captureAll();
        await expectEqual(next);
        rmSync(crash.folder, { recursive: true });
      }
    },
  );
});
