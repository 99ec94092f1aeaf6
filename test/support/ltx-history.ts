/**
 * A database's history as plain data: what it is after every transaction is known, so whatever is
 * read from its LTX files can be compared with it.
 */
import { formatLtxKey } from "../../shared/replica/ltx-key.ts";
import type { MemoryStore } from "../../shared/storage/memory-store.ts";
import { concatBytes, ltxFile, samplePage, type PageKind } from "./ltx-fixtures.ts";
import { txid } from "./replica-fixtures.ts";

/** One transaction. Pages by which it grows the database are written in any case. */
export interface Transaction {
  /** Size of the database after it, in pages. */
  readonly commit: number;
  readonly pgnos: readonly number[];
}

export interface HistoryOptions {
  readonly pageSize?: number;
  readonly kind?: PageKind;
}

type Pages = ReadonlyMap<number, Uint8Array>;

export class History {
  readonly pageSize: number;
  readonly #kind: PageKind;
  readonly #written: Pages[] = [];
  readonly #commits: number[] = [];

  constructor(
    transactions: readonly Transaction[],
    { pageSize = 512, kind = "words" }: HistoryOptions = {},
  ) {
    this.pageSize = pageSize;
    this.#kind = kind;
    for (const transaction of transactions) this.#commit(transaction);
  }

  /** Number of transactions, which is the last TXID. */
  get length(): number {
    return this.#commits.length;
  }

  /** Size after a transaction, in pages. */
  commitAt(at: number): number {
    return this.#commits[at - 1] ?? 0;
  }

  /** The database's file after a transaction. */
  imageAt(at: number): Uint8Array {
    const image = new Uint8Array(this.commitAt(at) * this.pageSize);
    for (const [pgno, page] of this.#pagesOf(1, at)) image.set(page, (pgno - 1) * this.pageSize);
    return image;
  }

  /** One page after a transaction. */
  pageAt(at: number, pgno: number): Uint8Array {
    return this.imageAt(at).subarray((pgno - 1) * this.pageSize, pgno * this.pageSize);
  }

  /** The LTX file of the transactions `min` to `max`. */
  ltx(min: number, max: number): Uint8Array {
    return ltxFile({
      minTxid: min,
      maxTxid: max,
      commit: this.commitAt(max),
      pageSize: this.pageSize,
      timestampMs: max * 1_000,
      pages: Object.fromEntries(this.#pagesOf(min, max)),
    });
  }

  /** Stores such a file at `db/`, in a bucket's layout, and returns its key. */
  async put(store: MemoryStore, level: number, min: number, max = min): Promise<string> {
    const range = { minTxid: txid(min), maxTxid: txid(max) };
    const key = formatLtxKey({ path: "db", layout: "s3" }, { level, ...range });
    const metadata = { "litestream-timestamp": new Date(max * 1_000).toISOString() };
    await store.put(key, this.ltx(min, max), { metadata });
    return key;
  }

  #commit({ commit, pgnos }: Transaction): void {
    const at = this.#commits.push(commit);
    const grown = this.#commits[at - 2] ?? 0;
    const written = new Set(pgnos.filter((pgno) => pgno <= commit));
    for (let pgno = grown + 1; pgno <= commit; pgno++) written.add(pgno);
    const pages = [...written].map((pgno) => [pgno, this.#content(at, pgno)] as const);
    this.#written.push(new Map(pages));
  }

  /** No two versions of no two pages are equal. */
  #content(at: number, pgno: number): Uint8Array {
    const page = samplePage(this.#kind, 1 + at * 7_919 + pgno * 104_729, this.pageSize);
    new DataView(page.buffer).setUint32(0, at);
    new DataView(page.buffer).setUint32(4, pgno);
    return page;
  }

  /** Newest versions within a range, without what its end has cut off. */
  #pagesOf(min: number, max: number): Pages {
    const pages = new Map<number, Uint8Array>();
    for (let at = min; at <= max; at++) {
      for (const [pgno, page] of this.#written[at - 1]) pages.set(pgno, page);
    }
    const kept = [...pages].filter(([pgno]) => pgno <= this.commitAt(max));
    return new Map(kept.toSorted(([a], [b]) => a - b));
  }
}

/** Takes a stream to its end. */
export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return concatBytes(await Array.fromAsync(chunks));
}
