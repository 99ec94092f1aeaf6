/**
 * The demo's application: a process of its own that keeps writing to the database, as an
 * application would, and knows nothing of the replicator. Usage: `node writer.ts DATABASE INTERVAL_MS`.
 */
import { DatabaseSync } from "node:sqlite";
import { seededRandom } from "./random.ts";
import { insertOrder } from "./sample-database.ts";

const [path, intervalMs] = process.argv.slice(2);
if (path === undefined || intervalMs === undefined) {
  console.error("usage: node writer.ts DATABASE INTERVAL_MS");
  process.exit(2);
}

const database = new DatabaseSync(path, { timeout: 5_000 });
const random = seededRandom(process.pid);
const ship = database.prepare("UPDATE orders SET state = 'shipped' WHERE id = ?");

const timer = setInterval(() => {
  database.exec("BEGIN IMMEDIATE");
  const id = insertOrder(database, random, Date.now());
  ship.run(Math.max(1, id - random.below(500)));
  database.exec("COMMIT");
}, Number(intervalMs));

function stop(): void {
  clearInterval(timer);
  database.close();
  process.exit(0);
}
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
// The demo that started this process holds the other end: when it is gone, so is the reason to write.
process.on("disconnect", stop);
