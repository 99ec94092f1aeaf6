/** A database of any size for benchmarks: text, numbers, JSON and bytes that do not compress. */
import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { seededRandom } from "../../tools/demo/random.ts";

const FIRST_ROWS = 20_000;
const KINDS = ["placed", "paid", "packed", "shipped", "delivered", "returned"] as const;
const WORDS = ["quiet", "copper", "folding", "northern", "wool", "paper", "solar", "tidal", "lamp"];

/** Writes a database in WAL mode, of at least `sizeBytes`, to a new file at `path`. */
export function createLargeDatabase(path: string, sizeBytes: number): void {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF");
  database.exec(
    "CREATE TABLE events (id INTEGER PRIMARY KEY, at TEXT, kind TEXT, detail TEXT, amount REAL, token BLOB)",
  );
  const random = seededRandom(7);
  const insert = database.prepare(
    "INSERT INTO events (at, kind, detail, amount, token) VALUES (?, ?, ?, ?, randomblob(60))",
  );
  database.exec("BEGIN");
  for (let row = 0; row < FIRST_ROWS; row++) {
    const at = new Date(Date.UTC(2026, 0, 1) + row * 61_007).toISOString();
    const words = Array.from({ length: 8 }, () => random.pick(WORDS)).join(" ");
    const detail = JSON.stringify({ words, number: random.below(1_000_000), ok: true });
    insert.run(at, random.pick(KINDS), detail, random.below(1_000_000) / 100);
  }
  database.exec("COMMIT");
  const more = database.prepare(
    "INSERT INTO events (at, kind, detail, amount, token) SELECT at, kind, detail, amount + id, randomblob(60) FROM events WHERE id <= ?",
  );
  // Bounded: each pass makes it larger, by at most a sixteenth of what is wanted.
  while (statSync(path).size < sizeBytes) more.run(Math.ceil(sizeBytes / 16 / 250));
  database.exec("PRAGMA journal_mode = WAL");
  database.close();
}
