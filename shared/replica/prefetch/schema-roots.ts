import { type SchemaRow, schemaRowAt } from "./record.ts";
import { childAt, type TreePages } from "./tree-page.ts";

/** Pages of the schema that are read: what lies in others is not known. */
const SCHEMA_PAGES_MAX = 256;
const SCHEMA_ROWS_MAX = 8_192;
/** Times that a schema of which pages are missing is looked at again. */
const READS_MAX = 8;

/** Where the trees of a database begin, as far as its schema is at hand. It is read when it is first needed. */
export class SchemaRoots {
  readonly #pages: TreePages;
  #roots: ReadonlySet<number> = new Set();
  #tableByIndex: ReadonlyMap<number, number> = new Map();
  #isComplete = false;
  #reads = 0;

  constructor(pages: TreePages) {
    this.#pages = pages;
  }

  /** Root of the table that an index belongs to, by the index's root; undefined where it is not known. */
  tableOf(indexRootPgno: number): number | undefined {
    this.#read();
    return this.#tableByIndex.get(indexRootPgno);
  }

  /** The pages that tables and indexes begin with. */
  get roots(): ReadonlySet<number> {
    this.#read();
    return this.#roots;
  }

  #read(): void {
    if (this.#isComplete || this.#reads >= READS_MAX) return;
    this.#reads++;
    const rows = [...this.#rows().take(SCHEMA_ROWS_MAX)];
    const tables = new Map(
      rows.filter(({ kind }) => kind === "table").map(({ table, rootPgno }) => [table, rootPgno]),
    );
    const tableByIndex = new Map<number, number>();
    for (const { kind, table, rootPgno } of rows) {
      const tableRootPgno = kind === "index" ? tables.get(table) : undefined;
      if (tableRootPgno !== undefined) tableByIndex.set(rootPgno, tableRootPgno);
    }
    this.#roots = new Set(rows.map(({ rootPgno }) => rootPgno));
    this.#tableByIndex = tableByIndex;
  }

  *#rows(): Generator<SchemaRow, void, undefined> {
    const usableBytes = this.#pages.usableBytes;
    const pgnos = [1];
    this.#isComplete = true;
    // The list grows while it is read; its bound stops it, also where pages make a ring.
    for (let at = 0; at < pgnos.length && at < SCHEMA_PAGES_MAX; at++) {
      const page = this.#pages.page(pgnos[at]);
      if (page === undefined) this.#isComplete = false;
      if (page === undefined || page.isIndex) continue;
      for (let index = 0; index < page.cellCount; index++) {
        const row = page.isInterior ? undefined : schemaRowAt(page, index, usableBytes);
        if (row !== undefined) yield row;
      }
      if (!page.isInterior || pgnos.length >= SCHEMA_PAGES_MAX) continue;
      for (let index = 0; index <= page.cellCount; index++) pgnos.push(childAt(page, index));
    }
  }
}
