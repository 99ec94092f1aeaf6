/** The database of the differential test: one of everything that SQLite can keep rows in. */
import type { Random } from "../../../tools/demo/random.ts";

/** Words in which case, accents, length and bytes beyond ASCII matter. */
export const WORDS = [
  "alpha",
  "Alpha",
  "ALPHA",
  "beta",
  "Beta_1",
  "gam%ma",
  "delta",
  "Zürich",
  "zürich",
  "naïve",
  "",
  " ",
  "a",
  "A",
  "ab",
  "x'y",
  "👩‍🚀",
  "𝄞 clef",
  "[b]",
  "10",
  "2.5",
  "-7",
  "café au lait",
  "the quick brown fox",
] as const;

export const SCHEMA = `
  CREATE TABLE items (id INTEGER PRIMARY KEY, grp INTEGER, n INTEGER, r REAL, name TEXT,
    tag TEXT COLLATE NOCASE, data BLOB, mixed, big INTEGER,
    twice INTEGER GENERATED ALWAYS AS (n * 2 + 1) STORED, label TEXT AS (name || ':' || grp));
  CREATE INDEX items_grp ON items (grp, n DESC);
  CREATE INDEX items_name ON items (name);
  CREATE INDEX items_tag ON items (tag, id);
  CREATE INDEX items_lower ON items (lower(name));
  CREATE INDEX items_some ON items (n) WHERE grp < 5;
  CREATE INDEX items_label ON items (label) WHERE n > 0;
  CREATE TABLE pairs (a INTEGER, b TEXT, c REAL, d, PRIMARY KEY (b, a)) WITHOUT ROWID;
  CREATE INDEX pairs_c ON pairs (c DESC);
  CREATE TABLE links (src INTEGER, dst INTEGER, weight REAL);
  CREATE INDEX links_src ON links (src);
  CREATE UNIQUE INDEX links_both ON links (dst, src, weight);
  CREATE TABLE docs (id INTEGER PRIMARY KEY, body TEXT);
  CREATE INDEX docs_kind ON docs (body ->> '$.kind');
  CREATE TABLE large (id INTEGER PRIMARY KEY, k TEXT, payload BLOB);
  CREATE INDEX large_k ON large (k, payload);
  CREATE TABLE events (id INTEGER PRIMARY KEY, day TEXT, at INTEGER);
  CREATE INDEX events_day ON events (day);
  CREATE TABLE filler (id INTEGER PRIMARY KEY, body BLOB);
  CREATE VIEW groups AS
    SELECT grp, count(*) AS items, total(n) AS total, max(r) AS top FROM items GROUP BY grp;
  CREATE VIEW linked AS
    SELECT i.id AS id, i.grp AS grp, l.dst AS dst, l.weight AS weight
    FROM items i JOIN links l ON l.src = i.id;
  CREATE VIEW everything AS
    SELECT id, name AS word FROM items UNION ALL SELECT a, b FROM pairs UNION ALL SELECT id, k FROM large;
  CREATE VIRTUAL TABLE notes USING fts4(title, body, prefix="2");
  CREATE VIRTUAL TABLE memos USING fts3(body);
  CREATE VIRTUAL TABLE papers USING fts5(title, body, prefix = '2 3');
  CREATE VIRTUAL TABLE boxes USING rtree(id, x0, x1, y0, y1);
`;

const FIRST_DAY_MS = Date.UTC(2024, 1, 20);

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function word(random: Random): string {
  return quote(random.pick(WORDS));
}

/** A REAL that is exact in binary and short in decimal: sums of it are the same in any order. */
export function dyadic(random: Random): string {
  return ((random.below(4001) - 2000) / 8).toFixed(3);
}

function hex(random: Random, bytes: number): string {
  const digits = Array.from({ length: bytes }, () =>
    random.below(256).toString(16).padStart(2, "0"),
  );
  return `x'${digits.join("")}'`;
}

function mixed(random: Random): string {
  return random.pick([
    "NULL",
    String(random.below(20)),
    `${random.below(20)}.0`,
    dyadic(random),
    word(random),
    hex(random, random.below(6)),
    "9223372036854775807",
    "-9223372036854775808",
    "9e999",
  ]);
}

function sentence(random: Random): string {
  const words = Array.from({ length: 3 + random.below(20) }, () => `w${random.below(40)}`);
  return quote(words.join(" "));
}

function json(random: Random): string {
  const list = Array.from({ length: random.below(5) }, () => random.below(9));
  return JSON.stringify({
    kind: random.pick(["a", "b", "c"]),
    n: random.below(50),
    real: random.below(50) / 4,
    list,
    nested: { word: random.pick(WORDS), deep: [{ x: random.below(5) }] },
    ...(random.below(3) === 0 ? { maybe: null } : {}),
  });
}

function payload(random: Random): string {
  const bytes = random.pick([10, 200, 900, 3_000, 9_000]) + random.below(50);
  const pattern = hex(random, 5).slice(2, -1);
  return `CAST(substr(replace(hex(zeroblob(${Math.ceil(bytes / 5)})), '00', ${quote(pattern)}), 1, ${bytes}) AS BLOB)`;
}

/** One statement for each kind of table; `id` is the row that is written or written over. */
const WRITES: readonly ((random: Random, id: number) => string)[] = [
  (random, id) =>
    `INSERT OR REPLACE INTO items (id, grp, n, r, name, tag, data, mixed, big) VALUES (${id}, ${random.below(9)},
      ${random.below(200) - 60}, ${random.below(12) === 0 ? "NULL" : dyadic(random)}, ${word(random)}, ${word(random)},
      ${hex(random, random.below(20))}, ${mixed(random)}, ${random.pick(["1", "9223372036854775807", "-9223372036854775808", "9007199254740993"])})`,
  (random, id) =>
    `INSERT OR REPLACE INTO pairs VALUES (${id % 40}, ${word(random)}, ${dyadic(random)}, ${mixed(random)})`,
  (random, id) =>
    `INSERT OR REPLACE INTO links VALUES (${id}, ${random.below(200)}, ${dyadic(random)})`,
  (random, id) => `INSERT OR REPLACE INTO docs VALUES (${id}, ${quote(json(random))})`,
  (random, id) =>
    `INSERT OR REPLACE INTO large VALUES (${id % 60}, ${word(random)}, ${payload(random)})`,
  (random, id) => {
    const at = FIRST_DAY_MS + random.below(400) * 86_400_000 + random.below(86_400) * 1000;
    return `INSERT OR REPLACE INTO events VALUES (${id}, '${new Date(at).toISOString().slice(0, 19)}', ${at / 1000})`;
  },
  (random, id) =>
    `INSERT OR REPLACE INTO notes (docid, title, body) VALUES (${id}, ${word(random)}, ${sentence(random)})`,
  (random, id) => `INSERT OR REPLACE INTO memos (docid, body) VALUES (${id}, ${sentence(random)})`,
  (random, id) =>
    `INSERT OR REPLACE INTO papers (rowid, title, body) VALUES (${id}, ${word(random)}, ${sentence(random)})`,
  (random, id) => {
    const [x, y] = [random.below(100), random.below(100)];
    return `INSERT OR REPLACE INTO boxes VALUES (${id}, ${x}, ${x + random.below(9)}, ${y}, ${y + 1.5})`;
  },
];

/** Statements that write so many rows, here and there. */
export function writes(random: Random, rows: number, idMax = 200): string {
  const statements = Array.from({ length: rows }, () =>
    random.pick(WRITES)(random, 1 + random.below(idMax)),
  );
  return statements.join(";\n");
}
