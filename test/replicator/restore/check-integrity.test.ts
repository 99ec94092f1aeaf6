import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkIntegrity } from "../../../replicator/restore/check-integrity.ts";

let path: string;
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-integrity-"));
  path = join(folder, "app.db");
  const database = new DatabaseSync(path);
  database.exec(`CREATE TABLE names (name TEXT COLLATE NOCASE); CREATE INDEX by_name ON names (name);
    CREATE TABLE "it's" (body TEXT);
    INSERT INTO names VALUES ('one'), ('two'); INSERT INTO "it's" VALUES ('three')`);
  database.close();
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** As an application leaves it that has a collation of its own. */
function renameCollation(): void {
  const image = readFileSync(path);
  for (let at = image.indexOf("NOCASE"); at >= 0; at = image.indexOf("NOCASE", at)) {
    image.write("MYCASE", at, "latin1");
  }
  writeFileSync(path, image);
}

/** Makes the only page of a table no page of a table. */
function damage(table: string): void {
  const database = new DatabaseSync(path);
  const sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?";
  const rootPage = Number(database.prepare(sql).get(table)?.["rootpage"]);
  const pageSize = Number(database.prepare("PRAGMA page_size").get()?.["page_size"]);
  database.close();
  const image = readFileSync(path);
  image[(rootPage - 1) * pageSize] = 0x55;
  writeFileSync(path, image);
}

describe.each(["quick", "full"] as const)("the %s integrity check", (check) => {
  it("passes a sound database, every table of it", () => {
    expect(checkIntegrity(path, check)).toEqual([]);
  });

  it("passes a database with a collation of the application's, and names what it could not check", () => {
    renameCollation();
    expect(checkIntegrity(path, check)).toEqual(["names"]);
  });

  it.each(["names", "it's"])("finds the damage in table %s", (table) => {
    damage(table);
    expect(() => checkIntegrity(path, check)).toThrow(/fails its integrity check/);
  });

  it("finds the damage in a table beside one that it cannot check", () => {
    damage("it's");
    renameCollation();
    expect(() => checkIntegrity(path, check)).toThrow(/fails its integrity check/);
  });
});
