import { ReplicaError } from "../../shared/errors.ts";

/** Bytes of SQL that one query may have. */
const SQL_BYTES_MAX = 100_000;

const NEWLINE = 0x0a;
const SEMICOLON = 0x3b;
const DASH = 0x2d;
const SLASH = 0x2f;
const STAR = 0x2a;

/** What SQLite skips between tokens: tab, newline, form feed, carriage return, space. */
const SPACES = new Set([0x09, NEWLINE, 0x0c, 0x0d, 0x20]);

/**
 * The bytes of a query's text.
 *
 * @throws {ReplicaError} `SQL_PARSE` when it is too long or holds a NUL, where SQLite would stop.
 */
export function encodeSql(sql: string): Uint8Array {
  const bytes = new TextEncoder().encode(sql);
  if (bytes.length > SQL_BYTES_MAX) {
    const sentence = `the SQL has ${bytes.length} bytes; a query may have ${SQL_BYTES_MAX}`;
    throw new ReplicaError("SQL_PARSE", sentence);
  }
  const position = bytes.indexOf(0);
  if (position >= 0) {
    throw new ReplicaError("SQL_PARSE", "the SQL holds a NUL character", { details: { position } });
  }
  return bytes;
}

/** The offset of what follows a statement and is not space, comment or semicolon; -1 for nothing. */
export function findNextStatement(sql: Uint8Array, from: number): number {
  let at = from;
  // Bounded by the text: every pass moves on.
  while (at < sql.length) {
    const byte = sql[at] ?? 0;
    if (SPACES.has(byte) || byte === SEMICOLON) at++;
    else if (isByteOrderMark(sql, at)) at += 3;
    else if (byte === DASH && sql[at + 1] === DASH) at = after(sql, sql.indexOf(NEWLINE, at));
    else if (byte === SLASH && sql[at + 1] === STAR) at = afterComment(sql, at + 2);
    else return at;
  }
  return -1;
}

/** SQLite skips U+FEFF wherever it stands between tokens. */
function isByteOrderMark(sql: Uint8Array, at: number): boolean {
  return sql[at] === 0xef && sql[at + 1] === 0xbb && sql[at + 2] === 0xbf;
}

/** Says whether the text's statement is EXPLAIN or EXPLAIN QUERY PLAN of another. */
export function isExplain(sql: Uint8Array): boolean {
  return /^explain(?![\w$\u0080-\uffff])/i.test(beginningOf(sql));
}

/** Says whether the text's statement begins like a SELECT: then it is one, or writes. */
export function isSelect(sql: Uint8Array): boolean {
  return /^(?:select|with)(?![\w$\u0080-\uffff])/i.test(beginningOf(sql));
}

/** A statement's first characters: enough for its first word. */
function beginningOf(sql: Uint8Array): string {
  const start = findNextStatement(sql, 0);
  return new TextDecoder().decode(sql.subarray(start, start + "explain ".length));
}

function after(sql: Uint8Array, found: number): number {
  return found < 0 ? sql.length : found + 1;
}

/** An open comment ends with the text, as it does for SQLite. */
function afterComment(sql: Uint8Array, from: number): number {
  for (let at = from; at + 1 < sql.length; at++) {
    if (sql[at] === STAR && sql[at + 1] === SLASH) return at + 2;
  }
  return sql.length;
}
