/**
 * Databases for the tests of the engine, and what the real SQLite answers on them. Vitest runs this
 * in Node before workerd starts.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { TestProject } from "vitest/node";

/** One value as JSON: [type, text]; an INTEGER and a REAL are told apart by their type. */
export type TaggedValue = readonly ["null" | "integer" | "real" | "text" | "blob", string];

export interface EngineDatabase {
  readonly pageSize: number;
  readonly base64: string;
  readonly answers: readonly { readonly sql: string; readonly rows: readonly TaggedValue[][] }[];
}

declare module "vitest" {
  interface ProvidedContext {
    readonly engineDatabases: Readonly<Record<string, EngineDatabase>>;
  }
}

const SCHEMA = `
  CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT NOT NULL, v TEXT, n INTEGER, r REAL);
  WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 3000)
    INSERT INTO t SELECT i, 'k' || (i * 7919 % 3000), printf('%050d', i), i * i * 1000003, i / 8.0 FROM c;
  CREATE INDEX t_k ON t (k);
  CREATE TABLE kinds (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
  INSERT INTO kinds VALUES
    ('null', NULL), ('zero', 0), ('two', 2), ('two as real', 2.0), ('minus zero', -0.0),
    ('max safe', 9007199254740991), ('over safe', 9007199254740993), ('under safe', -9007199254740993),
    ('max', 9223372036854775807), ('min', -9223372036854775807 - 1), ('infinity', 9e999),
    ('minus infinity', -9e999), ('tiny', 5e-324), ('pi', 3.141592653589793), ('empty', ''),
    ('text', 'plain'), ('accents', 'Zürich → naïve'), ('astral', '👩‍🚀𝄞'), ('bom', char(65279) || 'x'),
    ('nul', 'a' || char(0) || 'b'), ('empty blob', x''), ('blob', x'00ff0180'), ('large', zeroblob(20000));
  CREATE VIEW totals AS SELECT k, sum(n) AS total FROM t GROUP BY k;
`;

/** What sql.js has and the official build has not. */
const FTS4 = `
  CREATE VIRTUAL TABLE notes USING fts4(body);
  INSERT INTO notes SELECT 'note ' || id || ' about w' || (id % 40) || ' and w' || (id % 7) FROM t;
  CREATE VIRTUAL TABLE terms USING fts4aux(notes);
  CREATE VIRTUAL TABLE letters USING fts3(body);
  INSERT INTO letters VALUES ('a red kettle'), ('a blue lamp');
  CREATE VIRTUAL TABLE tokens USING fts3tokenize(porter);
`;

/** And the other way round. */
const FTS5_AND_RTREE = `
  CREATE VIRTUAL TABLE notes USING fts5(title, body, prefix = '2 3');
  INSERT INTO notes SELECT 'note ' || id, 'about w' || (id % 40) || ' and w' || (id % 7) FROM t;
  CREATE VIRTUAL TABLE words USING fts5vocab(notes, row);
  CREATE VIRTUAL TABLE papers USING fts5(body, content = 't', content_rowid = 'id', tokenize = 'trigram');
  INSERT INTO papers (rowid, body) SELECT id, k FROM t;
  CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1, y0, y1, +label);
  INSERT INTO boxes SELECT id, id % 97, id % 97 + 3, id % 89, id % 89 + 2.5, k FROM t;
  CREATE VIRTUAL TABLE tiles USING rtree_i32(id, x0, x1);
  INSERT INTO tiles SELECT id, id * 3, id * 3 + 10 FROM t;
  CREATE VIEW near AS SELECT label FROM boxes WHERE x0 < 2 AND y0 < 2;
`;

/** Virtual tables that no one build can read all of, beside a table that anybody can. */
const MIXED = `
  CREATE VIRTUAL TABLE articles USING fts5(body);
  INSERT INTO articles VALUES ('a red lamp'), ('a blue lamp');
  CREATE VIRTUAL TABLE boxes USING "rtree"(id, x0, x1);
  INSERT INTO boxes VALUES (1, 0, 1), (2, 5, 6);
  CREATE VIRTUAL TABLE letters USING fts4(body);
  INSERT INTO letters VALUES ('a red kettle');
  CREATE TABLE plain (name TEXT);
  INSERT INTO plain VALUES ('served');
  PRAGMA writable_schema = ON;
  INSERT INTO sqlite_schema VALUES
    ('table', 'places', 'places', 0, 'CREATE VIRTUAL TABLE places USING spatial(name)');
  PRAGMA writable_schema = OFF;
`;

function nested(open: string, core: string, close: string, depth: number): string {
  return open.repeat(depth) + core + close.repeat(depth);
}

/** As deep as the real SQLite lets a schema be: its limits are about one text, and views read one another. */
const DEEP = `
  CREATE TABLE plain (a);
  INSERT INTO plain VALUES (1), (2);
  CREATE VIEW wide0 AS SELECT a FROM plain;
  ${Array.from(
    { length: 6 },
    (_, index) =>
      `CREATE VIEW wide${index + 1} AS SELECT a FROM wide${index} UNION SELECT 2 ${" UNION ALL SELECT a FROM plain".repeat(400)};`,
  ).join("\n")}
  CREATE VIEW chain0 AS SELECT 1 AS a;
  ${Array.from(
    { length: 95 },
    (_, index) => `CREATE VIEW chain${index + 1} AS SELECT a FROM chain${index} UNION SELECT 2;`,
  ).join("\n")}
  CREATE TABLE sums (a, b AS (a${" + 1".repeat(990)}), c AS (${nested("abs(", "a", ")", 480)}),
    d AS (${nested("CASE WHEN a THEN ", "a", " END", 450)}));
  INSERT INTO sums VALUES (1);
  CREATE TABLE checked (a CHECK (a = 1${" OR a = 2".repeat(900)}));
  CREATE INDEX checked_some ON checked (a) WHERE a = 1${" OR a = 2".repeat(900)};
`;

const QUERIES = [
  "SELECT count(*) FROM t",
  "SELECT v FROM t WHERE k = 'k777'",
  "SELECT id, k, n, r FROM t WHERE id BETWEEN 100 AND 110",
  "SELECT sum(n), avg(r), max(v) FROM t",
  "SELECT k, total FROM totals ORDER BY total DESC, k LIMIT 5",
  "SELECT a.id, b.id FROM t a JOIN t b ON b.k = 'k' || a.id WHERE a.id % 500 = 3 ORDER BY 1",
  "SELECT name, typeof(value), value FROM kinds ORDER BY name",
  "SELECT name, length(value) FROM kinds WHERE typeof(value) = 'text' ORDER BY 1",
  "SELECT group_concat(id) FROM (SELECT id FROM t WHERE v LIKE '%99' ORDER BY r DESC)",
  "SELECT id, row_number() OVER (ORDER BY k) FROM t ORDER BY id LIMIT 7",
  "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 500) SELECT sum(x) FROM c",
  'SELECT value ->> \'$.a\' FROM json_each(\'[{"a":1},{"a":2.5},{"a":"z"}]\')',
  "SELECT DISTINCT substr(k, 1, 2) FROM t ORDER BY 1",
  "SELECT name FROM pragma_table_info('t')",
  "PRAGMA integrity_check",
];

const FTS4_QUERIES = [
  "SELECT count(*) FROM notes WHERE notes MATCH 'w5 AND w3'",
  "SELECT docid, snippet(notes) FROM notes WHERE notes MATCH 'w33' ORDER BY docid LIMIT 3",
  "SELECT term, documents FROM terms WHERE col = '*' ORDER BY documents DESC, term LIMIT 5",
  "SELECT docid FROM letters WHERE letters MATCH 'lamp OR kettle' ORDER BY docid",
  "SELECT token, position FROM tokens WHERE input = 'running dogs'",
];

const FTS5_AND_RTREE_QUERIES = [
  "SELECT count(*) FROM notes WHERE notes MATCH 'w5 AND w3'",
  "SELECT rowid, snippet(notes, 1, '[', ']', '…', 4) FROM notes WHERE notes MATCH 'w33' ORDER BY rowid LIMIT 3",
  "SELECT rowid, bm25(notes) FROM notes WHERE notes MATCH 'w3*' ORDER BY rank, rowid LIMIT 5",
  "SELECT highlight(notes, 0, '<', '>') FROM notes WHERE notes MATCH 'title : 777' ",
  "SELECT term, doc, cnt FROM words ORDER BY cnt DESC, term LIMIT 5",
  "SELECT rowid FROM papers WHERE papers MATCH '777' ORDER BY rowid",
  "SELECT count(*), sum(id) FROM boxes WHERE x0 >= 10 AND x1 <= 40 AND y0 >= 20",
  "SELECT id, label, x1, y1 FROM boxes WHERE x0 = 5 AND y0 < 9 ORDER BY id",
  "SELECT rtreecheck('boxes')",
  "SELECT t.k FROM tiles JOIN t USING (id) WHERE x0 BETWEEN 300 AND 330 ORDER BY x0",
  "SELECT name, type FROM pragma_table_info('boxes')",
  "SELECT * FROM near ORDER BY label",
];

function tag(value: SQLInputValue): TaggedValue {
  if (value === null) return ["null", ""];
  if (typeof value === "bigint") return ["integer", value.toString()];
  if (typeof value === "number") return ["real", Object.is(value, -0) ? "-0" : String(value)];
  if (typeof value === "string") return ["text", value];
  return ["blob", Buffer.from(value as Uint8Array).toString("hex")];
}

interface Shape {
  readonly pageSize: number;
  readonly pragmas: string;
  readonly schema?: string;
  readonly queries?: readonly string[];
}

function makeDatabase(shape: Shape): EngineDatabase {
  const { pageSize, pragmas, schema = SCHEMA, queries = QUERIES } = shape;
  const folder = mkdtempSync(join(tmpdir(), "eddy-engine-"));
  try {
    const path = join(folder, "engine.db");
    // A module that no build has can only be written into the schema.
    const database = new DatabaseSync(path, { defensive: false });
    database.exec(`PRAGMA page_size = ${pageSize}; ${pragmas}; BEGIN; ${schema}`);
    database.exec("COMMIT; PRAGMA wal_checkpoint(TRUNCATE)");
    const answers = queries.map((sql) => {
      const statement = database.prepare(sql);
      statement.setReadBigInts(true);
      statement.setReturnArrays(true);
      const rows = statement.all() as unknown as SQLInputValue[][];
      return { sql, rows: rows.map((row) => row.map(tag)) };
    });
    const base64 = readFileSync(path).toString("base64");
    database.close();
    return { pageSize, base64, answers };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Makes the databases and hands them to the tests, which `inject` them. */
export function setup(project: TestProject): void {
  const wal = "PRAGMA journal_mode = WAL";
  const utf16 = (end: string): string => `PRAGMA encoding = 'UTF-16${end}'; ${wal}`;
  project.provide("engineDatabases", {
    "512-byte pages": makeDatabase({ pageSize: 512, pragmas: wal }),
    "4096-byte pages": makeDatabase({ pageSize: 4096, pragmas: wal }),
    "65536-byte pages": makeDatabase({ pageSize: 65_536, pragmas: wal }),
    "a rollback journal": makeDatabase({ pageSize: 4096, pragmas: "" }),
    "UTF-16 little endian": makeDatabase({ pageSize: 4096, pragmas: utf16("le") }),
    "UTF-16 big endian": makeDatabase({ pageSize: 1024, pragmas: utf16("be") }),
    "with FTS4": makeDatabase({
      pageSize: 4096,
      pragmas: wal,
      schema: SCHEMA + FTS4,
      queries: [...QUERIES, ...FTS4_QUERIES],
    }),
    "with FTS5 and R*Tree": makeDatabase({
      pageSize: 4096,
      pragmas: wal,
      schema: SCHEMA + FTS5_AND_RTREE,
      queries: [...QUERIES, ...FTS5_AND_RTREE_QUERIES],
    }),
    "a deep schema": makeDatabase({
      pageSize: 4096,
      pragmas: wal,
      schema: DEEP,
      queries: [
        "SELECT count(*) FROM wide1",
        "SELECT a, b, c, d FROM sums",
        "SELECT * FROM chain90",
      ],
    }),
    "with tables that need all modules": makeDatabase({
      pageSize: 4096,
      pragmas: wal,
      schema: MIXED,
      queries: ["SELECT name FROM plain"],
    }),
  });
}
