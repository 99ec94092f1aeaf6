/**
 * The application that never pauses: transactions of six rows, one after the other. Prints as JSON how many
 * there were and how long the longest took. Usage: `node flat-out-writer.ts DATABASE SECONDS`.
 */
import { DatabaseSync } from "node:sqlite";
import type { FlatOutResult } from "./flat-out.ts";

const ROWS = 6;

const [path = "", seconds = "0"] = process.argv.slice(2);
const database = new DatabaseSync(path, { timeout: 30_000 });
database.exec("PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = NORMAL");
const insert = database.prepare("INSERT INTO events (kind, at, body) VALUES (?, ?, ?)");
const [begin, commit] = [database.prepare("BEGIN IMMEDIATE"), database.prepare("COMMIT")];
const body = "an event of an application that has a lot to tell, in some hundred bytes ".repeat(2);

let [transactions, longestMs] = [0, 0];
const startMs = performance.now();
let nowMs = startMs;
while (nowMs - startMs < Number(seconds) * 1_000) {
  begin.run();
  for (let row = 0; row < ROWS; row++) insert.run(transactions % 97, nowMs, body);
  commit.run();
  transactions++;
  const endMs = performance.now();
  longestMs = Math.max(longestMs, endMs - nowMs);
  nowMs = endMs;
}
const elapsedSeconds = (nowMs - startMs) / 1_000;
console.log(JSON.stringify({ transactions, elapsedSeconds, longestMs } satisfies FlatOutResult));
process.exit(0);
