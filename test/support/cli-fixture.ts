/** A database in a folder of its own, replicated twice by the command line: two TXIDs, two and three rows. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { expect } from "vitest";
import { eddy } from "./eddy-cli.ts";

export interface CliFixture {
  readonly folder: string;
  /** A path in the folder. */
  readonly at: (name: string) => string;
  readonly replicaUrl: string;
  readonly remove: () => void;
}

export async function createCliFixture(flags: readonly string[] = []): Promise<CliFixture> {
  const folder = mkdtempSync(join(tmpdir(), "eddy-cli-"));
  const at = (name: string) => join(folder, name);
  const replicaUrl = `file://${at("replica")}`;
  const replicate = ["replicate", at("app.db"), replicaUrl, "--once", ...flags];
  createDatabase(at("app.db"));
  expect(await eddy(replicate)).toMatchObject({ status: 0 });
  const database = new DatabaseSync(at("app.db"));
  database.exec("INSERT INTO t (body) VALUES ('three')");
  database.close();
  expect(await eddy(replicate)).toMatchObject({ status: 0 });
  return { folder, at, replicaUrl, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

export function createDatabase(path: string, mode = "wal"): void {
  const database = new DatabaseSync(path);
  database.exec(
    `PRAGMA journal_mode = ${mode}; CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)`,
  );
  database.exec("INSERT INTO t (body) VALUES ('one'), ('two')");
  database.close();
}

export function rowsOf(path: string): unknown[] {
  const database = new DatabaseSync(path, { readOnly: true });
  const rows = database.prepare("SELECT id, body FROM t").all();
  database.close();
  return rows.map((row) => ({ ...row }));
}
