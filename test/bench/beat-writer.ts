/**
 * The application of the latency benchmarks: commits one row at a steady pace and prints when each
 * commit had returned. Usage: `node beat-writer.ts DATABASE COUNT INTERVAL_MS`.
 */
import { DatabaseSync } from "node:sqlite";

const [path = "", count = "0", intervalMs = "0"] = process.argv.slice(2);
const database = new DatabaseSync(path, { timeout: 5_000 });
const insert = database.prepare("INSERT INTO beats (id, body) VALUES (?, ?)");
let id = 0;
const timer = setInterval(() => {
  id++;
  insert.run(id, "x".repeat(100));
  console.log(JSON.stringify({ id, committedAtMs: performance.timeOrigin + performance.now() }));
  if (id < Number(count)) return;
  clearInterval(timer);
  database.close();
}, Number(intervalMs));
