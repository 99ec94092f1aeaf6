import type { Replica } from "./ltx-key.ts";

/** Where the newest version of one page lies. */
export interface PageLocation {
  /** Index of the LTX file in the snapshot's files, from 0. */
  readonly file: number;
  /** Bytes from the start of that file to the page's frame. */
  readonly offset: number;
  /** Bytes in the frame. */
  readonly size: number;
  /** `pageChecksum32` of the page, where it is known: a page without one cannot be verified. */
  readonly checksum?: number | undefined;
}

/** What a locator may read with while it looks for one page. */
export interface LocatorRead {
  /** Objects are read through its store, which is that of the request that asks. */
  readonly replica: Replica;
  readonly signal?: AbortSignal | undefined;
}

export interface FoundPage {
  /** Null when no file holds the page. */
  readonly location: PageLocation | null;
  /** The page itself, decoded, where it lay beside its location; nobody has compared its checksum yet. */
  readonly page?: Uint8Array | undefined;
}

/**
 * Says where the pages of one snapshot lie. It may be shared by all requests of an isolate: it keeps
 * values and never promises, and what it reads goes through the store of the request that asks.
 */
export interface PageLocator {
  /** Bytes of memory that it takes by itself, without what it keeps in caches that it shares. */
  readonly sizeBytes: number;
  /** What makes an edge bundle that it reads useless: whoever plans again does without it. */
  readonly fault?: string | undefined;
  /** Null when no file holds the page, as none holds the lock page; undefined when `find` has to look. */
  get(pgno: number): PageLocation | null | undefined;
  /** The page with its place, where both are in memory here, as a bundle's hot pages are. Synchronous. */
  atHand?(pgno: number): FoundPage | undefined;
  /**
   * Looks a page up, with reads where it takes them; the pages near it are mostly known afterwards.
   *
   * @throws {ReplicaError} `CORRUPT_PAGE`, naming the object; `OBJECT_MISSING` when an object that it
   *   reads is gone: time to plan again. `ABORTED`, `R2_ERROR`.
   */
  find(pgno: number, read: LocatorRead): Promise<FoundPage>;
}
