/** A database's history for tests, page by page, and any LTX file that a replicator may make of it. */
import { formatLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import { concatBytes, ltxFile, samplePage, type PageKind } from "./ltx-fixtures.ts";
import { txid } from "./replica-fixtures.ts";

export interface Transaction {
  /** Size of the database afterwards, in pages. */
  readonly commit: number;
  /** Pages that were written, beside those by which the database grew. */
  readonly changed?: readonly number[];
}

export interface PageHistoryOptions {
  readonly pageSize?: number;
  /** What the pages are made of; noise does not compress. */
  readonly kind?: PageKind;
}

interface State {
  readonly commit: number;
  /** Page n at n - 1. */
  readonly pages: readonly Uint8Array[];
  readonly written: ReadonlySet<number>;
}

/** Every page version is unlike any other, so that a wrong one shows. */
export class PageHistory {
  readonly pageSize: number;
  readonly #kind: PageKind;
  readonly #states: State[] = [];

  constructor({ pageSize = 512, kind = "words" }: PageHistoryOptions = {}) {
    this.pageSize = pageSize;
    this.#kind = kind;
  }

  /** Newest TXID. */
  get head(): number {
    return this.#states.length;
  }

  /** Commits a transaction and returns its TXID. As the growth rule demands, it writes all pages that are new. */
  commit({ commit, changed = [] }: Transaction): number {
    const { commit: previous, pages } = this.#states.at(-1) ?? { commit: 0, pages: [] };
    const grown = Array.from(
      { length: Math.max(0, commit - previous) },
      (_, i) => previous + 1 + i,
    );
    const written = new Set([...changed.filter((pgno) => pgno <= commit), ...grown]);
    const next = pages.slice(0, commit);
    const number = this.#states.length + 1;
    for (const pgno of written) {
      next[pgno - 1] = samplePage(this.#kind, 7919 * number + pgno, this.pageSize);
      new DataView(next[pgno - 1].buffer).setUint32(0, 65_536 * number + pgno);
    }
    this.#states.push({ commit, pages: next, written });
    return number;
  }

  /** The database file after a transaction. */
  image(at: number): Uint8Array {
    return concatBytes(this.#states[at - 1].pages);
  }

  page(at: number, pgno: number): Uint8Array {
    return this.#states[at - 1].pages[pgno - 1];
  }

  /** The LTX file of the transactions `min` to `max`: what they wrote, as it is after the last. */
  file(min: number, max: number): Uint8Array {
    const { commit, pages } = this.#states[max - 1];
    const written = new Set(
      this.#states.slice(min - 1, max).flatMap((state) => [...state.written]),
    );
    const pgnos = min === 1 ? pages.map((_, index) => index + 1) : [...written];
    return ltxFile({
      minTxid: min,
      maxTxid: max,
      commit,
      pageSize: this.pageSize,
      timestampMs: 1_000 * max,
      pages: Object.fromEntries(
        pgnos.filter((pgno) => pgno <= commit).map((pgno) => [pgno, pages[pgno - 1]]),
      ),
    });
  }

  /** Puts that file into a replica, and returns its key. */
  async put(replica: Replica, level: number, min: number, max = min): Promise<string> {
    const key = formatLtxKey(replica, { level, minTxid: txid(min), maxTxid: txid(max) });
    const metadata = { "litestream-timestamp": new Date(1_000 * max).toISOString() };
    await replica.store.put(key, this.file(min, max), { metadata });
    return key;
  }
}

/** A history of these transactions, in one go. */
export function historyOf(
  transactions: readonly Transaction[],
  options: PageHistoryOptions = {},
): PageHistory {
  const history = new PageHistory(options);
  for (const transaction of transactions) history.commit(transaction);
  return history;
}
