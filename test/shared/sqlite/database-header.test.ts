import { DatabaseSync } from "node:sqlite";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { lockPgno, parseDatabaseHeader } from "../../../shared/sqlite/database-header.ts";

const folder = mkdtempSync(join(tmpdir(), "eddy-header-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let databases = 0;

/** The bytes of a database file that real SQLite made by running `sql`. */
function databaseFile(sql: string): Uint8Array {
  const path = join(folder, `${databases++}.db`);
  const database = new DatabaseSync(path);
  database.exec(sql);
  database.close();
  return new Uint8Array(readFileSync(path));
}

describe("parseDatabaseHeader", () => {
  it.each([512, 1024, 4096, 32_768, 65_536])("reads a database with pages of %d bytes", (size) => {
    const bytes = databaseFile(
      `PRAGMA page_size = ${size}; CREATE TABLE t (x); CREATE TABLE u (x)`,
    );
    expect(parseDatabaseHeader(bytes.subarray(0, 100))).toEqual({
      pageSize: size,
      pageCount: 3,
      writeVersion: 1,
      readVersion: 1,
      reservedBytes: 0,
      changeCounter: 2,
      schemaCookie: 2,
      textEncoding: "utf8",
      autoVacuum: "none",
    });
  });

  it.each([
    ["PRAGMA journal_mode = WAL; CREATE TABLE t (x)", { writeVersion: 2, readVersion: 2 }],
    ["PRAGMA encoding = 'UTF-16le'; CREATE TABLE t (x)", { textEncoding: "utf16le" }],
    ["PRAGMA encoding = 'UTF-16be'; CREATE TABLE t (x)", { textEncoding: "utf16be" }],
    ["PRAGMA user_version = 7", { textEncoding: "utf8", pageCount: 1 }],
    ["PRAGMA auto_vacuum = 1; CREATE TABLE t (x)", { autoVacuum: "full" }],
    ["PRAGMA auto_vacuum = 2; CREATE TABLE t (x)", { autoVacuum: "incremental" }],
  ])("after %s", (sql, expected) => {
    expect(parseDatabaseHeader(databaseFile(sql))).toMatchObject(expected);
  });

  it("does not know the size where a SQLite before 3.7 wrote last", () => {
    const bytes = databaseFile("CREATE TABLE t (x)");
    expect(parseDatabaseHeader(bytes).pageCount).toBe(2);
    bytes[27]++;
    expect(parseDatabaseHeader(bytes).pageCount).toBe(0);
  });

  const sound = databaseFile("CREATE TABLE t (x)").subarray(0, 100);
  const patched = (offset: number, ...values: number[]) => {
    const bytes = sound.slice();
    bytes.set(values, offset);
    return bytes;
  };
  it.each([
    ["an empty file", new Uint8Array(0), "the database is empty"],
    [
      "a text",
      new TextEncoder().encode("a".repeat(200)),
      "this is not a SQLite database, or it is enc",
    ],
    ["a magic string without its zero", patched(15, 32), "this is not a SQLite database"],
    ["a few bytes of something", new Uint8Array(5), "this is not a SQLite database"],
    [
      "a header that is cut",
      sound.subarray(0, 99),
      "the database has 99 bytes, less than its header",
    ],
    [
      "a page size of 768",
      patched(16, 3, 0),
      "the database's page size of 768 is not a power of two",
    ],
    [
      "a page size of 256",
      patched(16, 1, 0),
      "the database's page size of 256 is not a power of two",
    ],
    ["a page size of 0", patched(16, 0, 0), "the database's page size of 0 is not a power of two"],
    ["a write version of 3", patched(18, 3), "the database's format version 3 is not known here"],
    ["a read version of 0", patched(19, 0), "the database's format version 0 is not known here"],
    ["a text encoding of 4", patched(59, 4), "the database's text encoding 4 is none of SQLite's"],
  ])("refuses %s", (_name, bytes, message) => {
    expect(() => parseDatabaseHeader(bytes)).toThrow(
      expect.objectContaining({
        code: "SOURCE_INVALID",
        message: expect.stringContaining(message),
      }),
    );
  });

  it("refuses an encrypted database, whose first bytes are noise", () => {
    const noise = Uint8Array.from({ length: 4096 }, (_, i) => (i * 2_654_435_761) >>> 24);
    expect(() => parseDatabaseHeader(noise)).toThrow("cannot be read without its key");
  });
});

describe("lockPgno", () => {
  it.each([
    [512, 2_097_153],
    [1024, 1_048_577],
    [4096, 262_145],
    [65_536, 16_385],
  ])("for pages of %d bytes is page %d", (pageSize, pgno) => {
    expect(lockPgno(pageSize)).toBe(pgno);
  });
});
