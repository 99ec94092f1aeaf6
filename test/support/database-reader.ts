/**
 * A program that reads a database over and over while something else changes the file, in a process of
 * its own. Usage, by `fork` only: `database-reader.ts DATABASE`; it says when it has read once,
 * reads until it gets a message, and answers with what it has seen.
 *
 * The database has a table `t`, and a table `counter` whose only row holds the number of rows of `t`.
 */
import { DatabaseSync } from "node:sqlite";

export interface ReaderReport {
  readonly reads: number;
  /** States that differ from the one before. */
  readonly states: number;
  /** What was wrong, in words. */
  readonly faults: readonly string[];
}

const [path = ""] = process.argv.slice(2);
// It may write, so that it puts back what a killed follower left half-made; one that may not gets an error until then.
const database = new DatabaseSync(path, { timeout: 10_000 });
const faults: string[] = [];
let [reads, states, last] = [0, 0, -1];
let isOver = false;

function read(): void {
  database.exec("BEGIN");
  const row = database
    .prepare("SELECT (SELECT n FROM counter) AS told, (SELECT count(*) FROM t) AS counted")
    .get();
  const check = database.prepare("PRAGMA integrity_check(1)").get()?.["integrity_check"];
  const again = database.prepare("SELECT n FROM counter").get()?.["n"];
  database.exec("COMMIT");
  const [told, counted] = [Number(row?.["told"]), Number(row?.["counted"])];
  if (told !== counted) faults.push(`${counted} rows, and the counter says ${told}`);
  if (check !== "ok") faults.push(String(check));
  if (again !== told) faults.push(`one transaction saw ${told} and then ${String(again)}`);
  if (told < last) faults.push(`${told} rows after ${last}`);
  if (told !== last) states++;
  last = told;
  reads++;
}

function readOn(): void {
  if (isOver) return;
  try {
    read();
  } catch (error) {
    faults.push((error as Error).message);
    isOver = true;
  }
  // With a pause, as programs have: the lock is free for others in between.
  setTimeout(readOn, 1);
}

process.on("message", () => {
  isOver = true;
  const report: ReaderReport = { reads, states, faults };
  process.send?.(report, () => process.disconnect());
});
process.on("disconnect", () => process.exit(0));
readOn();
process.send?.("ready");
