import type { PageReader, PageReaderStats } from "../../shared/replica/page-reader.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { isVerifiable, type Snapshot } from "../../shared/replica/snapshot.ts";
import type { PageSource } from "../sqlite/page-source.ts";

/**
 * Names what a query reads from, as connections to it are kept. The same plan may be opened through an edge
 * bundle and without it: what a connection to the one was told does not hold for the other.
 */
export function sourceKeyOf({ replica, snapshot, identity }: SourceName): string {
  return `${replica.path} ${identity}${isVerifiable(snapshot) ? "" : " unverifiable"}`;
}

interface SourceName {
  readonly replica: Replica;
  readonly snapshot: Snapshot;
  /** The plan's. */
  readonly identity: string;
}

/** A query's pages, with the time that it waited for them, and whether each could be verified. */
export class MeteredSource implements PageSource {
  readonly pageSize: number;
  readonly pageCount: number;
  readonly #reader: PageReader;
  #waitedMs = 0;
  #reads = 0;
  readonly #onUnverified: () => void;
  #isVerified = true;

  /** @param onUnverified Called when the first page that nothing verified is given out. */
  constructor(reader: PageReader, onUnverified: () => void) {
    this.#reader = reader;
    this.#onUnverified = onUnverified;
    this.pageSize = reader.pageSize;
    this.pageCount = reader.pageCount;
  }

  get isVerifiable(): boolean {
    return isVerifiable(this.#reader.snapshot);
  }

  get stats(): PageReaderStats {
    return this.#reader.stats;
  }

  /** In milliseconds. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  /** Reads that found their page at hand: each fault's read is repeated, and is none of them. */
  get cacheHits(): number {
    return Math.max(0, this.#reads - this.#reader.stats.faults);
  }

  resident(pgno: number): Uint8Array | undefined {
    const page = this.#reader.resident(pgno);
    if (!page) return undefined;
    this.#reads++;
    if (this.#isVerified && !this.#reader.isVerified) {
      this.#isVerified = false;
      this.#onUnverified();
    }
    return page;
  }

  expectScans(rootPgnos: readonly number[]): void {
    this.#reader.expectScans(rootPgnos);
  }

  comesAlong(pgno: number): boolean {
    return this.#reader.comesAlong(pgno);
  }

  async load(pgno: number, signal?: AbortSignal): Promise<void> {
    const startedAtMs = performance.now();
    try {
      await this.#reader.load(pgno, signal);
    } finally {
      this.#waitedMs += performance.now() - startedAtMs;
    }
  }
}
