/** The tables and views of `schema.ts` as sources of a query. */
import type { Random } from "../../../tools/demo/random.ts";
import type { Column, Kind } from "./expressions.ts";

type Columns = readonly (readonly [string, Kind])[];

/** What may be joined on and grouped by is an integer that many rows share. */
const TABLES: Readonly<Record<string, { key: string; group: string; columns: Columns }>> = {
  items: {
    key: "id",
    group: "grp",
    columns: [
      ["id", "integer"],
      ["grp", "integer"],
      ["n", "integer"],
      ["r", "real"],
      ["name", "text"],
      ["tag", "text"],
      ["data", "blob"],
      ["mixed", "any"],
      ["big", "any"],
      ["twice", "integer"],
      ["label", "text"],
    ],
  },
  pairs: {
    key: "a",
    group: "a",
    columns: [
      ["a", "integer"],
      ["b", "text"],
      ["c", "real"],
      ["d", "any"],
    ],
  },
  links: {
    key: "src",
    group: "dst",
    columns: [
      ["src", "integer"],
      ["dst", "integer"],
      ["weight", "real"],
    ],
  },
  events: {
    key: "id",
    group: "id",
    columns: [
      ["id", "integer"],
      ["day", "text"],
      ["at", "integer"],
    ],
  },
  large: {
    key: "id",
    group: "id",
    columns: [
      ["id", "integer"],
      ["k", "text"],
      ["payload", "blob"],
    ],
  },
  docs: {
    key: "id",
    group: "id",
    columns: [
      ["id", "integer"],
      ["body", "text"],
    ],
  },
  groups: {
    key: "grp",
    group: "items",
    columns: [
      ["grp", "integer"],
      ["items", "integer"],
      ["total", "real"],
      ["top", "real"],
    ],
  },
  linked: {
    key: "id",
    group: "grp",
    columns: [
      ["id", "integer"],
      ["grp", "integer"],
      ["dst", "integer"],
      ["weight", "real"],
    ],
  },
  everything: {
    key: "id",
    group: "id",
    columns: [
      ["id", "integer"],
      ["word", "text"],
    ],
  },
};

export interface Source {
  /** As it stands behind FROM, with its alias. */
  readonly sql: string;
  readonly alias: string;
  readonly key: string;
  readonly group: string;
  readonly columns: readonly Column[];
  /** Columns that tell every row from every other, for a total order within the table. */
  readonly unique: readonly string[];
}

const UNIQUE: Readonly<Record<string, readonly string[]>> = {
  items: ["id"],
  pairs: ["b", "a"],
  links: ["dst", "src", "weight"],
  events: ["id"],
  large: ["id"],
  docs: ["id"],
  groups: ["grp"],
};

/** A random table or view under `alias`; only tables with a unique key where `isUnique`. */
export function pickSource(random: Random, alias: string, isUnique = false): Source {
  const name = random.pick(Object.keys(isUnique ? UNIQUE : TABLES));
  return sourceOf(name, alias);
}

function sourceOf(name: string, alias: string): Source {
  const table = TABLES[name];
  if (table === undefined) throw new Error(`no table ${name}`);
  const { key, group, columns } = table;
  return {
    sql: `${name} ${alias}`,
    alias,
    key: `${alias}.${key}`,
    group: `${alias}.${group}`,
    columns: columns.map(([column, kind]) => ({ sql: `${alias}.${column}`, kind })),
    unique: (UNIQUE[name] ?? []).map((column) => `${alias}.${column}`),
  };
}
