/**
 * The application under torture: commits random transactions without a pause or with small ones, vacuums,
 * checkpoints by a second connection, closes and opens anew. Usage, by `fork` only:
 * `writer-process.ts DATABASE OPTIONS-AS-JSON`.
 */
import { setImmediate, setTimeout as delay } from "node:timers/promises";
import { DatabaseSync } from "node:sqlite";
import { seededRandom } from "../../tools/demo/random.ts";
import { createSchema, runTransaction } from "./random-transaction.ts";
import { digestOf, LEDGER, LEDGER_ROWS, readLedger } from "./state-digest.ts";
import type { WriterOptions, WriterReport, WriterRequest } from "./writer.ts";

const [path = "", optionsText = "{}"] = process.argv.slice(2);
const options = JSON.parse(optionsText) as WriterOptions;
const random = seededRandom(options.seed);
let isWriting = false;
const ending = new AbortController();
let commit = 0;
let digest = "";
let app = open();
let other = openOther();

function open(): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 10_000 });
  database.function("rowOf", { deterministic: true }, (id) => Number(id));
  database.exec(
    `PRAGMA page_size = ${options.pageSize}; PRAGMA auto_vacuum = ${options.autoVacuum}`,
  );
  database.exec(
    `PRAGMA journal_mode = WAL; PRAGMA synchronous = ${random.pick(["OFF", "NORMAL"])}`,
  );
  database.exec(`PRAGMA cache_size = ${options.cachePages}`);
  database.exec(`PRAGMA wal_autocheckpoint = ${random.pick([0, 0, 20, 200, 1_000])}`);
  return database;
}

/** Who checkpoints: a connection that gives way soon, so that the application is not held up. */
function openOther(): DatabaseSync {
  return new DatabaseSync(path, { timeout: 20 });
}

function report(message: WriterReport): void {
  process.send?.(message);
}

/** Runs `work` in one transaction, and writes down in it what the database is after it. */
function transact(work: () => void): void {
  app.exec(random.pick(["BEGIN IMMEDIATE", "BEGIN"]));
  let next: { readonly commit: number; readonly digest: string };
  try {
    work();
    if (random.below(8) === 0) return app.exec("ROLLBACK");
    next = { commit: commit + 1, digest: digestOf(app) };
    // The first write of a transaction that has only read until now.
    app.prepare(`INSERT INTO ${LEDGER} (id, digest) VALUES (?, ?)`).run(next.commit, next.digest);
    app.exec(`DELETE FROM ${LEDGER} WHERE id <= ${next.commit - LEDGER_ROWS}`);
  } catch (error) {
    // A deferred transaction does not wait for the write lock that a checkpoint holds at this moment.
    if (!/locked|busy/i.test((error as Error).message)) throw error;
    return app.exec("ROLLBACK");
  }
  app.exec("COMMIT");
  ({ commit, digest } = next);
  report({ kind: "commit", commit, digest });
}

/** Runs what other locks may forbid at this moment. */
function tryTo(database: DatabaseSync, sql: string): void {
  try {
    database.prepare(sql).all();
  } catch (error) {
    if (!/locked|busy/i.test((error as Error).message)) throw error;
  }
}

async function step(): Promise<void> {
  const kind = random.below(200);
  if (kind < 10) {
    tryTo(
      other,
      `PRAGMA wal_checkpoint(${random.pick(["PASSIVE", "FULL", "RESTART", "TRUNCATE"])})`,
    );
  } else if (kind < 12) {
    tryTo(app, "VACUUM");
  } else if (kind < 18) {
    other.close();
    app.close();
    await delay(random.below(15));
    app = open();
    other = openOther();
  } else if (kind < 20) {
    // Refused while anybody else is there; otherwise some commits are in no log at all.
    tryTo(app, "PRAGMA journal_mode = DELETE");
    transact(() => runTransaction(app, random));
    tryTo(app, "PRAGMA journal_mode = WAL");
  } else if (kind < 40) {
    await delay(random.below(40));
  } else {
    transact(() => runTransaction(app, random));
    if (options.restMs > 0) await delay(random.below(options.restMs));
  }
}

async function run(): Promise<void> {
  while (!ending.signal.aborted) {
    if (isWriting) await step();
    else await delay(2);
    await setImmediate();
  }
}

function start(): void {
  const isNew = !app.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").get(LEDGER);
  if (isNew) {
    app.exec(`BEGIN; CREATE TABLE ${LEDGER} (id INTEGER PRIMARY KEY, digest TEXT NOT NULL)`);
    createSchema(app);
    const first = { commit: 1, digest: digestOf(app) };
    app.prepare(`INSERT INTO ${LEDGER} (id, digest) VALUES (?, ?)`).run(first.commit, first.digest);
    app.exec("COMMIT");
  }
  ({ commit, digest } = readLedger(app)[0] ?? { commit, digest });
  report({ kind: "commit", commit, digest });
  report({ kind: "paused" });
}

process.on("message", (request: WriterRequest) => {
  isWriting = request === "write";
  // Between two steps: whatever was begun is committed or rolled back, and reported.
  if (request === "pause") report({ kind: "paused" });
  if (request === "end") ending.abort();
});
process.on("disconnect", () => process.exit(0));
start();
await run();
other.close();
app.close();
process.disconnect();
