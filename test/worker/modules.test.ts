/** Databases whose tables need modules that not every build of SQLite has, through the Worker. */
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { callWith } from "../support/workerd/api.ts";
import { putReplica } from "../support/workerd/replica.ts";

interface Problem {
  readonly detail: string;
}

beforeAll(async () => {
  for (const name of ["modules", "mixed"]) {
    await putReplica(env.BUCKET, name, inject("modules"));
  }
  await putReplica(env.BUCKET, "utf16", inject("utf16"));
});

function ask(
  database: string,
  sql: string,
  { engine, at }: { engine?: string; at?: string } = {},
): Promise<Response> {
  const parameters = new URLSearchParams({ sql, ...(at !== undefined && { at }) });
  const variables = engine === undefined ? {} : { ENGINE: engine };
  return callWith(variables, `/v1/dbs/${database}/query?${parameters.toString()}`);
}

async function rows(...args: Parameters<typeof ask>): Promise<unknown> {
  const body = await (await ask(...args)).json<{ rows?: unknown }>();
  return body.rows ?? body;
}

const FTS5 = "SELECT rowid FROM articles WHERE articles MATCH 'w33 AND w3' ORDER BY rowid LIMIT 2";
const RTREE = "SELECT count(*), sum(id) FROM boxes WHERE x0 >= 10 AND x1 <= 40";
const FTS4 = "SELECT docid FROM letters WHERE letters MATCH 'kettle'";
const PLAIN = "SELECT name FROM plain";

describe("ENGINE=auto", () => {
  it("runs each statement where its tables can be read, whatever came before", async () => {
    // The articles whose numbers leave 33 by 40 and 3 by 7; the boxes 10 to 37.
    const expected: readonly (readonly [string, unknown])[] = [
      [PLAIN, [["second"]]],
      [FTS5, [[73], [353]]],
      [PLAIN, [["second"]]],
      [FTS4, [[1]]],
      [RTREE, [[28, 658]]],
      [FTS4, [[1]]],
      [FTS5, [[73], [353]]],
      ["SELECT title FROM articles WHERE articles MATCH 'transaction'", [["news"]]],
    ];
    for (const [sql, answer] of expected)
      expect([sql, await rows("modules", sql)]).toEqual([sql, answer]);
  });

  it("at every transaction", async () => {
    const at = "txid:1";
    const count = "SELECT count(*) FROM articles WHERE articles MATCH 'transaction'";
    expect(await rows("modules", count, { at })).toEqual([[0]]);
    expect(await rows("modules", "SELECT count(*) FROM boxes", { at })).toEqual([[3000]]);
    expect(await rows("modules", FTS4, { at })).toEqual([[1]]);
  });

  it("answers 64 statements at once, half of them in each engine", async () => {
    const answers = await Promise.all(
      Array.from({ length: 64 }, (_, index) => rows("mixed", index % 2 === 0 ? FTS5 : FTS4)),
    );
    for (const [index, answer] of answers.entries()) {
      expect(answer).toEqual(index % 2 === 0 ? [[73], [353]] : [[1]]);
    }
  });

  it("names the table that no engine can read, and the one that another statement could", async () => {
    const response = await ask("modules", "SELECT * FROM places");
    expect(await response.json()).toMatchObject({
      status: 501,
      code: "unsupported-module",
      module: "spatial",
      detail: "the table places needs the SQLite module spatial, which is not available here",
    });
    const both = await ask("modules", "SELECT * FROM letters, articles");
    const { detail } = await both.json<Problem>();
    expect(both.status).toBe(501);
    expect(detail).toContain("no engine here can run this statement alone");
    expect(detail).toContain("the table letters needs the SQLite module fts4");
    expect(detail).toContain("the table articles needs the SQLite module fts5");
  });

  it("writes nothing, in neither engine", async () => {
    for (const sql of [
      "INSERT INTO articles VALUES ('a', 'b')",
      "INSERT INTO articles (articles) VALUES ('rebuild')",
      "DELETE FROM boxes",
      "UPDATE boxes_node SET data = x'00'",
      "DELETE FROM articles_data",
      "INSERT INTO letters VALUES ('x')",
    ]) {
      expect([sql, (await ask("modules", sql)).status]).toEqual([sql, 403]);
    }
    expect(await rows("modules", RTREE)).toEqual([[28, 658]]);
  });
});

describe("ENGINE", () => {
  it.each([
    ["sqljs", FTS4, 200],
    ["sqljs", FTS5, 501],
    ["sqljs", RTREE, 501],
    ["official", FTS4, 501],
    ["official", FTS5, 200],
    ["official", RTREE, 200],
  ])("%s answers %s with %i", async (engine, sql, status) => {
    expect((await ask("modules", sql, { engine })).status).toBe(status);
    expect(await rows("modules", PLAIN, { engine })).toEqual([["second"]]);
  });

  it("has three values", async () => {
    const response = await ask("modules", PLAIN, { engine: "best" });
    expect(await response.json()).toMatchObject({
      status: 500,
      code: "bad-config",
      detail: "the variable ENGINE is not valid: it is one of auto, sqljs, official",
    });
  });
});

describe("a database in UTF-16", () => {
  it("is never read by the engine that would take its texts for UTF-8", async () => {
    expect(await rows("utf16", PLAIN)).toEqual([["Zürich"]]);
    const forced = await ask("utf16", PLAIN, { engine: "official" });
    expect(await forced.json()).toMatchObject({
      status: 501,
      detail: "the texts of the database are in UTF-16, which the engine official cannot read",
    });
    const response = await ask("utf16", "SELECT * FROM articles");
    const { detail } = await response.json<Problem>();
    expect(response.status).toBe(501);
    expect(detail).toContain("the table articles needs the SQLite module fts5");
    expect(detail).toContain("in UTF-16");
    expect(await rows("utf16", FTS4)).toEqual([[1]]);
  });
});

describe("GET /v1/dbs/:db", () => {
  const tables = [
    { name: "articles", module: "fts5" },
    { name: "boxes", module: "rtree" },
    { name: "letters", module: "fts4" },
    { name: "places", module: "spatial" },
  ];
  const only = (...names: string[]) => tables.filter(({ name }) => names.includes(name));

  it.each([
    ["modules", "auto", only("places")],
    ["modules", "sqljs", only("articles", "boxes", "places")],
    ["modules", "official", only("letters", "places")],
    ["utf16", "auto", only("articles")],
    ["utf16", "official", null],
  ])("of %s under ENGINE=%s names what no engine can read", async (name, engine, expected) => {
    const response = await callWith({ ENGINE: engine }, `/v1/dbs/${name}`);
    expect(await response.json()).toMatchObject({ name, unsupported_tables: expected });
  });
});
