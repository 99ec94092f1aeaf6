/** Statements that use the stack as far as SQLite's limits let them. */
import type { Random } from "../../../tools/demo/random.ts";

export function nested(open: string, core: string, close: string, depth: number): string {
  return open.repeat(depth) + core + close.repeat(depth);
}

/** JSONB of arrays within arrays, so many that no text of JSON could be. */
export function deepJsonb(depth: number): Uint8Array {
  let body = [0x01];
  const headers: number[][] = [];
  for (let level = 0, bytes = 1; level < depth; level++, bytes += 5) {
    const size = [24, 16, 8, 0].map((shift) => (bytes >>> shift) & 0xff);
    headers.push([0xeb, ...size]);
  }
  body = [...headers.toReversed().flat(), ...body];
  return Uint8Array.from(body);
}

const list = (count: number, term: (index: number) => string, between: string): string =>
  Array.from({ length: count }, (_, index) => term(index)).join(between);

/** The worst of each kind that nests, within the limits or a little beyond them. */
export const WORST: Readonly<Record<string, string>> = {
  "subqueries of many terms": nested(
    "SELECT * FROM (",
    "SELECT 1",
    `${" UNION SELECT 3".repeat(18)})`,
    80,
  ),
  "subqueries that are compounds": nested(
    "SELECT * FROM (",
    "SELECT 1 UNION SELECT 2",
    " UNION SELECT 3)",
    60,
  ),
  "compounds in order": nested(
    "SELECT * FROM (",
    "SELECT 1 AS a",
    `${" EXCEPT SELECT 3".repeat(18)} ORDER BY a)`,
    80,
  ),
  "common tables": `WITH c0 AS (SELECT 1 AS x)${list(95, (index) => `, c${index + 1} AS (SELECT x FROM c${index} UNION SELECT 2)`, "")} SELECT * FROM c95`,
  "common tables read twice": `WITH c0 AS (SELECT 1 AS x)${list(60, (index) => `, c${index + 1} AS (SELECT a.x FROM c${index} a, c${index} b)`, "")} SELECT * FROM c12`,
  "recursive common tables": nested(
    "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r WHERE x < 2 AND x IN (",
    "SELECT 1",
    ")) SELECT x FROM r",
    15,
  ),
  functions: `SELECT ${nested("abs(", "id", ")", 95)} FROM t LIMIT 1`,
  "scalar subqueries": `SELECT ${nested("(SELECT ", "1", ")", 48)}`,
  EXISTS: `SELECT ${nested("EXISTS (SELECT 1 FROM t WHERE ", "1", ")", 45)}`,
  CASE: `SELECT ${nested("CASE WHEN id THEN ", "1", " ELSE 2 END", 95)} FROM t LIMIT 1`,
  BETWEEN: `SELECT ${nested("(", "1", " BETWEEN 0 AND 2)", 48)}`,
  windows: nested("SELECT max(x) OVER (ORDER BY x) AS x FROM (", "SELECT id AS x FROM t", ")", 40),
  groups: nested("SELECT count(*) AS x FROM (", "SELECT id AS x FROM t", ") GROUP BY x", 60),
  "a long IN": `SELECT 1 IN (${list(45_000, () => "1", ",")})`,
  "many rows of VALUES": `SELECT count(*) FROM (VALUES ${list(15_000, () => "(1)", ",")})`,
  "a join of 60": `SELECT count(*) FROM ${list(60, (index) => `t t${index}`, ", ")} WHERE t0.id = 1 AND ${list(59, (index) => `t${index}.id = t${index + 1}.id`, " AND ")}`,
  "terms of ORDER BY": `SELECT id FROM t ORDER BY ${list(1_000, (index) => `id + ${index}`, ", ")} LIMIT 1`,
  "a long name": `SELECT 1 AS "${"a".repeat(99_000)}"`,
  LIKE: `SELECT replace(hex(zeroblob(2500)), '00', 'a') LIKE '${"%a".repeat(2_499)}b'`,
  GLOB: `SELECT replace(hex(zeroblob(2500)), '00', 'a') GLOB '${"*a".repeat(2_499)}b'`,
  "JSON within JSON": `SELECT json('${nested("[", "1", "]", 1_000)}'), json_pretty('${nested("[", "1", "]", 990)}')`,
  "a patch of JSON": `SELECT json_patch('${nested('{"a":', "1", "}", 1_000)}', '${nested('{"a":', "2", "}", 1_000)}')`,
  "a path into JSON": `SELECT length(json_set('{}', '$${".a".repeat(995)}', 1))`,
  "a tree of JSON": `SELECT count(*) FROM json_tree('${nested("[", "1", "]", 1_000)}')`,
  JSONB: `SELECT json_valid(?1, 8), json(?1)`,
  "a path into JSONB": `SELECT json_set(?1, '$${"[0]".repeat(995)}', 3)`,
  "a wide format": `SELECT length(printf('%900000d', 1)), length(printf('%!.900000f', 1e300))`,
  "modifiers of a date": `SELECT date('2020-01-01'${", '+1 day'".repeat(990)})`,
  EXPLAIN: `EXPLAIN QUERY PLAN ${nested("SELECT * FROM (", "SELECT 1 UNION SELECT 2", " UNION SELECT 3)", 60)}`,
};

/** One SELECT of one column `x`, nested at random. */
export function randomNesting(random: Random): string {
  let sql = random.pick([
    "SELECT 1 AS x",
    "SELECT id AS x FROM t",
    "VALUES (1), (2)",
    "SELECT k AS x FROM t",
  ]);
  if (sql.startsWith("VALUES")) sql = `SELECT column1 AS x FROM (${sql})`;
  for (let depth = 2 + random.below(90); depth > 0 && sql.length < 60_000; depth--) {
    sql = wrap(random, sql);
  }
  return sql;
}

function wrap(random: Random, sql: string): string {
  const operator = random.pick([" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT "]);
  const terms = `${operator}SELECT ${random.below(9)}`.repeat(random.below(19));
  return random.pick([
    () => `SELECT * FROM (${sql})`,
    () => `SELECT x FROM (${sql})${terms}`,
    () => `SELECT x FROM (${sql})${terms} ORDER BY 1 LIMIT 9`,
    () => `SELECT max(x) AS x FROM (${sql}) GROUP BY x`,
    () => `SELECT row_number() OVER (ORDER BY x) AS x FROM (${sql})`,
    () => `SELECT ${nested("abs(", "x", ")", random.below(20))} AS x FROM (${sql})`,
    () => `WITH c AS (${sql}) SELECT x FROM c`,
    () => `WITH c AS MATERIALIZED (${sql}) SELECT x FROM c${terms}`,
    () => `SELECT (${sql} LIMIT 1) AS x`.replace(/ LIMIT 9 LIMIT 1/, " LIMIT 1"),
    () => `SELECT 1 AS x WHERE EXISTS (${sql})`,
    () => `SELECT id AS x FROM t WHERE id IN (${sql})`,
    () => `SELECT a.x AS x FROM (${sql}) a LEFT JOIN t ON t.id = a.x`,
  ])();
}
