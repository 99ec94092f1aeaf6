/**
 * Where a query's pages come from. `PageReader` in `shared/replica` is one; tests bring their own.
 * A source belongs to one database at one TXID and never changes what a page holds.
 */
export interface PageSource {
  /** Every page that it gives out was held against its checksum: it is as SQLite has written it. */
  readonly isVerifiable?: boolean | undefined;
  /** Bytes in a page. */
  readonly pageSize: number;
  /** Pages in the database: its length is `pageCount * pageSize`. */
  readonly pageCount: number;
  /**
   * The page as it is stored, where it is at hand; synchronous. Undefined also where the source wants `load` to be called
   * now, once, for a page that is at hand.
   */
  resident(pgno: number): Uint8Array | undefined;
  /**
   * Fetches a page, and what the source thinks will be asked for next. After it `resident(pgno)` has
   * the page, at least until the caller has awaited something else. Whatever it throws becomes the
   * query's error, unchanged.
   */
  load(pgno: number, signal?: AbortSignal): Promise<void>;
  /**
   * Says whether a page is at hand, or comes along with one that was waited for: to wait for it is no fetch of
   * its own. A source that does not say so fetches each page that it is asked for.
   */
  comesAlong?(pgno: number): boolean;
  /**
   * Told before each statement runs which B-trees it reads from their first page to their last if it reads anything of
   * them, by the pages that they begin with. It says what to fetch ahead, and nothing of what there is.
   */
  expectScans?(rootPgnos: readonly number[]): void;
}
