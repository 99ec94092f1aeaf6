/** Queries of JSON, full text, R*Tree, dates, formats and the schema. */
import type { Random } from "../../../tools/demo/random.ts";
import type { Family, Inner } from "./queries.ts";

function word(random: Random): string {
  return `w${random.below(40)}`;
}

function json(random: Random): Inner {
  const n = random.below(50);
  return random.pick<Inner>([
    {
      sql: `SELECT id AS c0, body ->> '$.n' AS c1, body -> '$.nested' AS c2 FROM docs WHERE body ->> '$.kind' = '${random.pick(["a", "b", "c"])}'`,
      columns: 3,
    },
    {
      sql: `SELECT d.id AS c0, e.key AS c1, e.value AS c2, e.type AS c3, e.fullkey AS c4 FROM docs d, json_each(d.body, '$.list') e WHERE e.value > ${random.below(8)}`,
      columns: 5,
    },
    {
      sql: `SELECT d.id AS c0, t.key AS c1, t.atom AS c2, t.path AS c3 FROM docs d JOIN json_tree(d.body) t WHERE t.atom IS NOT NULL AND d.id % 7 = ${random.below(7)}`,
      columns: 4,
    },
    {
      sql: `SELECT json_set(body, '$.n', ${n}, '$.list[#]', 'x') AS c0, json_remove(body, '$.nested', '$.list[0]') AS c1 FROM docs WHERE id < ${random.below(200)}`,
      columns: 2,
    },
    {
      sql: `SELECT json_patch(body, '{"kind":null,"extra":[1,2.5,"z"]}') AS c0, json_type(body, '$.real') AS c1 FROM docs WHERE json_extract(body, '$.real') > ${random.below(12)}.25`,
      columns: 2,
    },
    {
      sql: "SELECT body ->> '$.kind' AS c0, json_group_array(id ORDER BY id) AS c1, sum(json_array_length(body, '$.list')) AS c2 FROM docs GROUP BY 1",
      columns: 3,
    },
    {
      sql: `SELECT json_object('id', id, 'name', name, 'r', r, 'tag', tag) AS c0, json_array(n, name, NULL, grp) AS c1 FROM items WHERE id % 5 = ${random.below(5)}`,
      columns: 2,
    },
    {
      sql: `SELECT id AS c0, json(jsonb(body)) AS c1, json_pretty(body ->> '$.nested') AS c2, json_valid(body, ${random.pick([1, 2, 4, 8])}) AS c3 FROM docs WHERE id > ${random.below(150)}`,
      columns: 4,
    },
    {
      sql: `SELECT key AS c0, value AS c1, type AS c2, atom AS c3 FROM json_each('{"a":[1,2.0,-0.5e1],"b":${n},"c":"\\u00fc\\ud83d\\ude80","d":null,"e":true}')`,
      columns: 4,
    },
  ]);
}

function match(random: Random): string {
  return random.pick([
    word(random),
    `${word(random)} ${word(random)}`,
    `${word(random)} OR ${word(random)}`,
    `${word(random)} NOT ${word(random)}`,
    `"${word(random)} ${word(random)}"`,
    "w1*",
    `(${word(random)} OR ${word(random)}) AND ${word(random)}`,
  ]);
}

function fts3(random: Random): Inner {
  const near = `${word(random)} NEAR/${1 + random.below(6)} ${word(random)}`;
  // The classic syntax of FTS3 and 4 knows neither parentheses nor AND where those were not compiled in.
  const text = random.pick([
    word(random),
    `${word(random)} ${word(random)}`,
    "w3*",
    near,
    `"${word(random)} ${word(random)}"`,
    `${word(random)} OR ${word(random)}`,
  ]);
  const needs = ["fts3"] as const;
  return random.pick<Inner>([
    {
      sql: `SELECT docid AS c0, title AS c1, snippet(notes, '<', '>', '…', -1, 6) AS c2 FROM notes WHERE notes MATCH '${text}'`,
      columns: 3,
      needs,
    },
    {
      sql: `SELECT docid AS c0, offsets(notes) AS c1, hex(matchinfo(notes, 'pcx')) AS c2 FROM notes WHERE body MATCH '${text}'`,
      columns: 3,
      needs,
    },
    {
      sql: `SELECT count(*) AS c0, total(length(body)) AS c1 FROM memos WHERE memos MATCH '${text}'`,
      columns: 2,
      needs,
    },
    {
      sql: `SELECT m.docid AS c0, i.name AS c1 FROM memos m JOIN items i ON i.id = m.docid WHERE m.body MATCH '${text}' AND i.n > ${random.below(60)}`,
      columns: 2,
      needs,
    },
    {
      sql: `SELECT docid AS c0, body AS c1 FROM notes WHERE docid BETWEEN ${random.below(90)} AND ${90 + random.below(90)}`,
      columns: 2,
      needs,
    },
    {
      sql: `SELECT docid AS c0, title AS c1 FROM notes WHERE title MATCH 'alpha' OR docid = ${random.below(99)}`,
      columns: 2,
      needs,
    },
  ]);
}

function fts5(random: Random): Inner {
  const text = random.pick([
    match(random),
    `NEAR(${word(random)} ${word(random)}, 4)`,
    `body : ${word(random)}`,
    `title : alpha OR body : ^${word(random)}`,
    "w2 *",
  ]);
  const needs = ["fts5"] as const;
  return random.pick<Inner>([
    {
      sql: `SELECT rowid AS c0, title AS c1, snippet(papers, 1, '<', '>', '…', 6) AS c2 FROM papers WHERE papers MATCH '${text}'`,
      columns: 3,
      needs,
    },
    {
      sql: `SELECT rowid AS c0, highlight(papers, 1, '[', ']') AS c1 FROM papers('${text}')`,
      columns: 2,
      needs,
    },
    {
      sql: `SELECT count(*) AS c0, max(rowid) AS c1 FROM papers WHERE papers MATCH '${text}' AND rowid > ${random.below(100)}`,
      columns: 2,
      needs,
    },
    {
      sql: `SELECT p.rowid AS c0, i.name AS c1 FROM papers p JOIN items i ON i.id = p.rowid WHERE p.papers MATCH '${text}'`,
      columns: 2,
      needs,
    },
    {
      sql: `SELECT rowid AS c0, body AS c1 FROM papers WHERE rowid IN (${random.below(99)}, ${random.below(99)}, ${random.below(99)})`,
      columns: 2,
      needs,
    },
  ]);
}

function rtree(random: Random): Inner {
  const [x, y] = [random.below(90), random.below(90)];
  const needs = ["rtree"] as const;
  return random.pick<Inner>([
    {
      sql: `SELECT id AS c0, x0 AS c1, x1 AS c2, y0 AS c3, y1 AS c4 FROM boxes WHERE x0 >= ${x} AND x1 <= ${x + 30} AND y0 < ${y}`,
      columns: 5,
      needs,
    },
    {
      sql: `SELECT count(*) AS c0, max(x1) AS c1 FROM boxes WHERE x1 > ${x} AND y1 > ${y}.5`,
      columns: 2,
      needs,
    },
    {
      sql: `SELECT b.id AS c0, i.name AS c1 FROM boxes b JOIN items i ON i.id = b.id WHERE b.x0 BETWEEN ${x} AND ${x + 15}`,
      columns: 2,
      needs,
    },
    {
      sql: `SELECT a.id AS c0, b.id AS c1 FROM boxes a JOIN boxes b ON a.x0 <= b.x1 AND a.x1 >= b.x0 AND a.y0 <= b.y1 AND a.y1 >= b.y0 WHERE a.id < b.id AND a.id % 9 = ${random.below(9)}`,
      columns: 2,
      needs,
    },
    {
      sql: `SELECT id AS c0, y0 AS c1 FROM boxes WHERE id = ${random.below(200)}`,
      columns: 2,
      needs,
    },
  ]);
}

function dates(random: Random): Inner {
  const modifier = random.pick([
    "+1 month",
    "-3 days",
    "start of year",
    "weekday 2",
    "+36 hours",
    "start of month",
    "+1 year",
    "+0001-02-03",
    "ceiling",
  ]);
  const columns = [
    `date(day, '${modifier}')`,
    `datetime(at, 'unixepoch', '${modifier}')`,
    `strftime('${random.pick(["%Y-%m", "%j %W %w", "%H:%M:%S", "%s", "%u %V %G", "%d/%m %I %p"])}', day)`,
    "julianday(date(day)) - 2460000.5",
    `unixepoch(day, '${modifier}')`,
    "timediff(day, '2024-02-29 12:00:00')",
  ];
  const three = [random.pick(columns), random.pick(columns), random.pick(columns)];
  const named = three.map((column, index) => `${column} AS c${index}`).join(", ");
  return { sql: `SELECT ${named} FROM events WHERE id % 6 = ${random.below(6)}`, columns: 3 };
}

function formats(random: Random): Inner {
  const format = random.pick(["%d", "%5d|%-5d|%05d", "%+d % d", "%x %X %o", "%,d", "%lld", "%i%%"]);
  const real = random.pick(["%.3f", "%10.2f", "%e", "%g", "%!.6g", "%,.1f", "%#.0f"]);
  const text = random.pick(["%s", "%.3s", "%10s|%-10s", "%q", "%Q", "%w", "%!5.2s", "%c"]);
  const sql = `SELECT printf('${format}', n, n, n) AS c0, format('${real}', r) AS c1, printf('${text}', name, tag) AS c2, round(r, ${random.below(3)}) AS c3
    FROM items WHERE n IS NOT NULL AND r IS NOT NULL AND id % 5 = ${random.below(5)}`;
  return { sql, columns: 4 };
}

function schema(random: Random): Inner {
  const table = random.pick(["items", "pairs", "links", "docs", "large", "groups", "linked"]);
  return random.pick<Inner>([
    {
      sql: `SELECT name AS c0, type AS c1, "notnull" AS c2, pk AS c3, hidden AS c4 FROM pragma_table_xinfo('${table}')`,
      columns: 5,
    },
    {
      sql: `SELECT l.name AS c0, l."unique" AS c1, l.partial AS c2, x.name AS c3, x.coll AS c4, x."desc" AS c5 FROM pragma_index_list('${table}') l, pragma_index_xinfo(l.name) x`,
      columns: 6,
    },
    {
      sql: "SELECT type AS c0, name AS c1, tbl_name AS c2, rootpage AS c3, sql AS c4 FROM sqlite_schema",
      columns: 5,
    },
    {
      sql: "SELECT page_count AS c0, (SELECT page_size FROM pragma_page_size) AS c1 FROM pragma_page_count",
      columns: 2,
    },
  ]);
}

/** What fails must fail everywhere, with the same sentence. */
function failures(random: Random): Inner {
  const sql = random.pick([
    "SELECT json('{\"a\":') AS c0",
    "SELECT abs(-9223372036854775807 - 1) AS c0",
    "SELECT no_such_column AS c0 FROM items",
    "SELECT c0 FROM no_such_table",
    "SELECT (SELECT 1, 2) AS c0",
    "SELECT count(*) AS c0 FROM items GROUP BY count(*)",
    "SELECT sum(big) AS c0 FROM items WHERE big > 9223372036854775000",
    "SELECT id AS c0 FROM items UNION SELECT id, n FROM items",
    "SELECT json_extract(body, '$[') AS c0 FROM docs",
  ]);
  return { sql, columns: 1 };
}

export const SPECIAL_FAMILIES: readonly Family[] = [
  json,
  json,
  fts3,
  fts3,
  fts5,
  fts5,
  rtree,
  dates,
  formats,
  schema,
  failures,
];
