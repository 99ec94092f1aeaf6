/** Random queries of every family that the engine must answer as the real SQLite does. */
import type { Random } from "../../../tools/demo/random.ts";
import { Expressions } from "./expressions.ts";
import type { Feature } from "./protocol.ts";
import { SPECIAL_FAMILIES } from "./special-queries.ts";
import { pickSource, type Source } from "./tables.ts";

/** A query whose output columns are named c0, c1, … */
export interface Inner {
  readonly sql: string;
  readonly columns: number;
  readonly needs?: readonly Feature[];
}

export type Family = (random: Random) => Inner;

export interface GeneratedQuery {
  readonly sql: string;
  readonly needs: readonly Feature[];
  readonly isOrdered: boolean;
}

function named(expressions: readonly string[]): string {
  return expressions.map((expression, index) => `${expression} AS c${index}`).join(", ");
}

function outputs(random: Random, expressions: Expressions): string[] {
  return Array.from({ length: 1 + random.below(4) }, () => expressions.ofAnyKind(random.below(3)));
}

function where(random: Random, expressions: Expressions): string {
  if (random.below(4) === 0) return "";
  return ` WHERE ${expressions.condition(1 + random.below(3))}`;
}

function single(random: Random): Inner {
  const source = pickSource(random, "s");
  const expressions = new Expressions(random, source.columns);
  const columns = outputs(random, expressions);
  const sql = `SELECT ${named(columns)} FROM ${source.sql}${where(random, expressions)}`;
  return { sql, columns: columns.length };
}

/** Point and range reads that an index or a rowid serves. */
function indexed(random: Random): Inner {
  const [table, condition] = random.pick([
    ["items s", `s.id = ${random.below(200)}`],
    ["items s", `s.grp = ${random.below(9)} AND s.n > ${random.below(50)}`],
    ["items s", `s.grp < 5 AND s.n BETWEEN ${random.below(30)} AND 90`],
    ["items s", "lower(s.name) = 'zürich' OR lower(s.name) = 'alpha'"],
    ["items s", "s.tag = 'ALPHA' AND s.id > 20"],
    ["items s", "s.n > 0 AND s.label >= 'b'"],
    ["items s", `s.id IN (SELECT dst FROM links WHERE src < ${random.below(60)})`],
    ["items s", `s.rowid > ${random.below(200)} AND s.name LIKE 'a%'`],
  ] as const);
  const columns = ["s.id", "s.name", "s.tag", "s.n", "s.label", "s.twice"];
  return { sql: `SELECT ${named(columns)} FROM ${table} WHERE ${condition}`, columns: 6 };
}

function join(random: Random): Inner {
  const sources: Source[] = [pickSource(random, "s0")];
  let from = sources[0]?.sql ?? "";
  for (let index = 1; index <= 1 + random.below(2); index++) {
    const next = pickSource(random, `s${index}`);
    const other = random.pick(sources);
    const kind = random.pick(["JOIN", "LEFT JOIN", "JOIN", "FULL JOIN", "RIGHT JOIN"]);
    from += ` ${kind} ${next.sql} ON ${next.key} = ${random.pick([other.key, other.group])}`;
    sources.push(next);
  }
  const expressions = new Expressions(
    random,
    sources.flatMap(({ columns }) => columns),
  );
  const columns = outputs(random, expressions);
  const sql = `SELECT ${named(columns)} FROM ${from}${where(random, expressions)}`;
  return { sql, columns: columns.length };
}

/** Aggregates of which none depends on the order of its rows. */
function aggregates(random: Random, source: Source, expressions: Expressions): string[] {
  const choices = [
    () => "count(*)",
    () => `count(DISTINCT ${expressions.of("integer", 1)})`,
    () => `sum(${expressions.of("integer", 0)} % 1000)`,
    () => `total(${expressions.column("real") ?? "1.5"})`,
    () => `avg(${expressions.column("real") ?? "2.5"})`,
    () => `min(${expressions.of("integer", 1)})`,
    () => `max(${expressions.column("real") ?? "0.5"})`,
    () => `max(${expressions.of("text", 0)} COLLATE BINARY)`,
    () => `count(*) FILTER (WHERE ${expressions.condition(1)})`,
    () =>
      `group_concat(${expressions.of("text", 0)}, '|' ORDER BY ${source.unique.join(", ") || "1"})`,
    () => `json_group_array(${source.key} ORDER BY ${source.key})`,
  ];
  return Array.from({ length: 1 + random.below(3) }, () => random.pick(choices)());
}

function grouped(random: Random): Inner {
  const source = pickSource(random, "s", true);
  const expressions = new Expressions(random, source.columns);
  const values = aggregates(random, source, expressions);
  const by = random.pick([
    source.group,
    `${source.key} % 7`,
    "",
    `length(${expressions.of("text", 0)})`,
  ]);
  const columns = by === "" ? values : [by, ...values];
  const having = by !== "" && random.below(3) === 0 ? ` HAVING count(*) > ${random.below(4)}` : "";
  const grouping = by === "" ? "" : ` GROUP BY ${by}${having}`;
  const sql = `SELECT ${named(columns)} FROM ${source.sql}${where(random, expressions)}${grouping}`;
  return { sql, columns: columns.length };
}

/** Terms of one kind of value each: which of two equal values of different types stays is the plan's. */
function compound(random: Random): Inner {
  const kinds = Array.from({ length: 1 + random.below(2) }, () =>
    random.pick(["integer", "text", "blob"] as const),
  );
  const terms = Array.from({ length: 2 + random.below(3) }, () => {
    const source = pickSource(random, "s");
    const expressions = new Expressions(random, source.columns);
    const columns = kinds.map((kind) =>
      kind === "text" ? `(${expressions.of(kind, 1)}) COLLATE BINARY` : expressions.of(kind, 1),
    );
    return `SELECT ${named(columns)} FROM ${source.sql}${where(random, expressions)}`;
  });
  const operator = random.pick(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"]);
  const sql = terms.join(` ${operator} `);
  return { sql, columns: kinds.length };
}

function common(random: Random): Inner {
  const [first, second] = [single(random), single(random)];
  const hint = random.pick(["", " MATERIALIZED", " NOT MATERIALIZED"]);
  const recursive = `chain(id, depth) AS (SELECT ${1 + random.below(40)}, 0
    UNION SELECT l.dst, depth + 1 FROM chain JOIN links l ON l.src = chain.id WHERE depth < ${1 + random.below(5)})`;
  const [body, columns] = random.pick([
    ["SELECT a.c0 AS c0, (SELECT count(*) FROM b) AS c1 FROM a", 2],
    ["SELECT c0 FROM a WHERE c0 IN (SELECT c0 FROM b)", 1],
    ["SELECT id AS c0, depth AS c1 FROM chain", 2],
    ["SELECT i.name AS c0, chain.depth AS c1 FROM chain JOIN items i USING (id)", 2],
    ["SELECT count(*) AS c0, max(depth) AS c1 FROM chain", 2],
  ] as const);
  const sql = `WITH RECURSIVE a AS${hint} (${first.sql}), b AS (${second.sql}), ${recursive} ${body}`;
  return { sql, columns };
}

/** Windows in a total order: the table's own key comes last. */
function windowed(random: Random): Inner {
  const source = pickSource(random, "s", true);
  const expressions = new Expressions(random, source.columns);
  const order = `ORDER BY ${expressions.of("integer", 1)}${random.pick(["", " DESC", " NULLS LAST"])}, ${source.unique.join(", ")}`;
  const partition = random.below(2) === 0 ? "" : `PARTITION BY ${source.group} `;
  const frame = random.pick([
    "",
    " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING",
    " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE CURRENT ROW",
    " GROUPS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING",
    " RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW EXCLUDE TIES",
  ]);
  const calls = [
    () => "row_number()",
    () => "rank()",
    () => "dense_rank()",
    () => `ntile(${1 + random.below(6)})`,
    () => `lag(${expressions.ofAnyKind(1)}, ${random.below(4)})`,
    () => `lead(${expressions.ofAnyKind(0)}, 1, 'none')`,
    () => `first_value(${expressions.ofAnyKind(1)})`,
    () => `nth_value(${expressions.of("text", 1)}, ${1 + random.below(4)})`,
    () => `sum(${expressions.of("integer", 0)} % 1000)`,
    () => "count(*)",
    // Before 3.54 SQLite answered a NUL where a frame holds one empty text alone.
    () => `group_concat(${expressions.of("text", 0)} || '.', ',')`,
    () => `max(${expressions.of("integer", 1)})`,
  ];
  const columns = Array.from(
    { length: 1 + random.below(2) },
    () => `${random.pick(calls)()} OVER w`,
  );
  const sql =
    `SELECT ${named([source.key, ...columns])} FROM ${source.sql}${where(random, expressions)} ` +
    `WINDOW w AS (${partition}${order}${frame})`;
  return { sql, columns: columns.length + 1 };
}

function subquery(random: Random): Inner {
  const source = pickSource(random, "s");
  const inner = pickSource(random, "u");
  const expressions = new Expressions(random, source.columns);
  const both = new Expressions(random, [...source.columns, ...inner.columns]);
  const match = `${inner.key} = ${random.pick([source.key, source.group])}`;
  const scalar = `(SELECT ${random.pick(["count(*)", `max(${inner.key})`, `min(${inner.group})`])} FROM ${inner.sql} WHERE ${match})`;
  const filter = random.pick([
    `EXISTS (SELECT 1 FROM ${inner.sql} WHERE ${match} AND ${both.condition(1)})`,
    `NOT EXISTS (SELECT 1 FROM ${inner.sql} WHERE ${match})`,
    `${source.group} IN (SELECT ${inner.group} FROM ${inner.sql} WHERE ${new Expressions(random, inner.columns).condition(1)})`,
    `${source.key} > (SELECT avg(${inner.key}) FROM ${inner.sql})`,
    `${scalar} > ${random.below(3)}`,
  ]);
  const columns = [...outputs(random, expressions), scalar];
  return {
    sql: `SELECT ${named(columns)} FROM ${source.sql} WHERE ${filter}`,
    columns: columns.length,
  };
}

/** Rows too long for a page, in an order that no index has. */
function largeSort(random: Random): Inner {
  const [order, limit] = [
    random.pick(["payload", "length(payload), payload", "substr(payload, 7)"]),
    1 + random.below(90),
  ];
  const sql = random.pick([
    `SELECT * FROM (SELECT id AS c0, payload AS c1 FROM large ORDER BY ${order}, id LIMIT ${limit})`,
    "SELECT DISTINCT payload AS c0, length(payload) AS c1 FROM large",
    "SELECT a.id AS c0, b.id AS c1 FROM large a JOIN large b ON a.payload = b.payload AND a.id < b.id",
    `SELECT k AS c0, hex(substr(payload, -${1 + random.below(20)})) AS c1 FROM large WHERE length(payload) > ${random.below(4000)}`,
    `SELECT id AS c0, n AS c1 FROM (SELECT i.id, i.n, l.payload FROM items i CROSS JOIN large l WHERE i.id % 9 = ${random.below(9)} AND l.id % 5 = 1 ORDER BY l.payload, i.n, i.id LIMIT 50)`,
  ]);
  return { sql, columns: 2 };
}

const FAMILIES: readonly Family[] = [
  single,
  single,
  indexed,
  join,
  join,
  grouped,
  grouped,
  compound,
  common,
  windowed,
  subquery,
  subquery,
  largeSort,
  ...SPECIAL_FAMILIES,
];

/** One query; in half of them the rows are demanded in a total order, and some of them cut off. */
export function generateQuery(random: Random): GeneratedQuery {
  const { sql, columns, needs = [] } = random.pick(FAMILIES)(random);
  if (random.below(2) === 0) return { sql, needs, isOrdered: false };
  const order = Array.from({ length: columns }, (_, index) => {
    const direction = random.pick(["", " DESC"]);
    return `typeof(c${index})${direction}, c${index} COLLATE BINARY${direction}`;
  });
  const limit =
    random.below(2) === 0 ? "" : ` LIMIT ${1 + random.below(30)} OFFSET ${random.below(10)}`;
  return {
    sql: `SELECT * FROM (${sql}) ORDER BY ${order.join(", ")}${limit}`,
    needs,
    isOrdered: true,
  };
}
