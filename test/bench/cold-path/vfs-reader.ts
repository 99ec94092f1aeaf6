/**
 * A process that reads through Litestream's VFS: for each line of standard input, a query as JSON, it prints a line
 * with the time in milliseconds and the rows. Its environment names the replica.
 */
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue } from "node:sqlite";

const [extension = ""] = process.argv.slice(2);
const loader = new DatabaseSync(":memory:", { allowExtension: true });
loader.loadExtension(extension);
let database: DatabaseSync | undefined;
console.log(JSON.stringify({ ready: true }));
for await (const line of createInterface({ input: process.stdin })) {
  const { sql, args } = JSON.parse(line) as { sql: string; args: SQLInputValue[] };
  const startedMs = performance.now();
  database ??= new DatabaseSync(new URL("file:///replica.db?vfs=litestream&mode=ro"), {
    readOnly: true,
  });
  const rows = database.prepare(sql).all(...args);
  console.log(JSON.stringify({ ms: performance.now() - startedMs, rows: rows.map(Object.values) }));
}
