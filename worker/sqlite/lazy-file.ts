import { ReplicaError } from "../../shared/errors.ts";
import type { ReadableFile } from "./build.ts";
import type { PageSource } from "./page-source.ts";

/** Where SQLite keeps its locks in a file; the page there is never used. */
const LOCK_BYTE_OFFSET = 0x4000_0000;

/** SQLite's header at the start of page 1; all that is patched lies in it. */
const HEADER_BYTES = 100;

/** The last byte of the word that says how texts are encoded: 1 for UTF-8, 2 and 3 for UTF-16. */
const TEXT_ENCODING_OFFSET = 59;

/** Who runs a query now: where its pages come from, and what a missing one costs it. */
export interface PageFaults {
  readonly source: PageSource;
  /** Resolves when the page is resident; rejects to end the query. */
  fetch(pgno: number): Promise<void>;
}

export interface LazyFileOptions {
  readonly pageSize: number;
  readonly pageCount: number;
  readonly sourceKey: string;
}

/**
 * A database at one TXID as a file that fetches a page when SQLite first reads it. It belongs to one
 * connection, and serves one query after the other.
 *
 * Page 1 is served so that SQLite takes it as it is: no WAL (bytes 18 and 19), the page count of this
 * TXID (28..31), and a change counter (24..27, 92..95) that is the same as long as the TXID is.
 */
export class LazyFile implements ReadableFile {
  readonly sizeBytes: number;
  readonly #pageSize: number;
  readonly #lockPgno: number;
  /** Pairs of offset and byte. */
  readonly #patches: readonly (readonly [number, number])[];
  #faults: PageFaults | undefined;
  #missingPgno = 0;
  /** Pages fetched for the read that is to be made again: no cache may drop them before. */
  readonly #pinned = new Map<number, Uint8Array>();
  /** Page 1's beginning as SQLite sees it: each transaction reads some of it again. */
  #header: Uint8Array | undefined;

  constructor({ pageSize, pageCount, sourceKey }: LazyFileOptions) {
    this.#pageSize = pageSize;
    this.sizeBytes = pageSize * pageCount;
    this.#lockPgno = LOCK_BYTE_OFFSET / pageSize + 1;
    this.#patches = headerPatches(pageCount, sourceKey);
  }

  /** Says whose query reads from now on; undefined when it has ended. */
  serve(faults: PageFaults | undefined): void {
    this.#faults = faults;
    this.#pinned.clear();
  }

  read(position: number, target: Uint8Array): number {
    return this.#readWhole(position, target) ?? this.#readAny(position, target);
  }

  /** Reads one page by itself, as SQLite mostly does; undefined where that is not all that is to be done. */
  #readWhole(position: number, target: Uint8Array): number | undefined {
    const pageSize = this.#pageSize;
    if (target.length !== pageSize || position <= 0 || position >= this.sizeBytes) return undefined;
    const pgno = position / pageSize + 1;
    if (this.#pinned.size > 0 || pgno === this.#lockPgno || !Number.isInteger(pgno)) {
      return undefined;
    }
    const page = this.#faults?.source.resident(pgno);
    if (page?.length === pageSize) {
      target.set(page);
      return pageSize;
    }
    this.#missingPgno = pgno;
    return -1;
  }

  #readAny(position: number, target: Uint8Array): number {
    const end = Math.min(position + target.length, this.sizeBytes);
    if (end <= HEADER_BYTES && this.#header !== undefined) {
      target.set(this.#header.subarray(position, end));
      return target.length;
    }
    // Bounded by the target: every pass fills at least one byte.
    for (let at = position; at < end;) {
      const pgno = Math.floor(at / this.#pageSize) + 1;
      const page = this.#page(pgno);
      if (page === undefined) {
        this.#missingPgno = pgno;
        return -1;
      }
      const start = (pgno - 1) * this.#pageSize;
      const part = page.subarray(at - start, Math.min(end - start, this.#pageSize));
      target.set(part, at - position);
      at += part.length;
    }
    if (position < HEADER_BYTES) this.#patch(position, target);
    if (position === 0 && end >= HEADER_BYTES) this.#header ??= target.slice(0, HEADER_BYTES);
    if (this.#pinned.size > 0) this.#pinned.clear();
    return Math.max(end - position, 0);
  }

  /** Whether texts are in UTF-16, once the header was read: SQLite does so when it opens the file. */
  get isUtf16(): boolean {
    const encoding = this.#header?.[TEXT_ENCODING_OFFSET];
    return encoding === 2 || encoding === 3;
  }

  async fault(): Promise<boolean> {
    const faults = this.#faults;
    const pgno = this.#missingPgno;
    if (faults === undefined) return false;
    try {
      await faults.fetch(pgno);
    } catch {
      // Whoever runs the query has kept the error; SQLite only has to unwind.
      return false;
    }
    const page = faults.source.resident(pgno);
    if (page?.length !== this.#pageSize) return false;
    this.#pinned.set(pgno, page);
    return true;
  }

  #page(pgno: number): Uint8Array | undefined {
    if (pgno === this.#lockPgno) return new Uint8Array(this.#pageSize);
    const page = this.#pinned.get(pgno) ?? this.#faults?.source.resident(pgno);
    // One of another length is as good as missing: fetching it says what is wrong.
    return page?.length === this.#pageSize ? page : undefined;
  }

  #patch(position: number, target: Uint8Array): void {
    for (const [offset, byte] of this.#patches) {
      if (offset >= position && offset < position + target.length) target[offset - position] = byte;
    }
  }
}

function headerPatches(pageCount: number, sourceKey: string): [number, number][] {
  const counter = hash(sourceKey);
  return [
    [18, 1],
    [19, 1],
    ...wordAt(24, counter),
    ...wordAt(28, pageCount),
    ...wordAt(92, counter),
  ];
}

/** The four bytes of a big-endian word. */
function wordAt(offset: number, value: number): [number, number][] {
  return [24, 16, 8, 0].map((shift, index) => [offset + index, (value >>> shift) & 0xff]);
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c_9dc5;
  for (let index = 0; index < text.length; index++) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x0100_0193);
  }
  return value >>> 0;
}

/** @throws {ReplicaError} `CORRUPT_PAGE` when the source's shape cannot be a database. */
export function checkSource({ pageSize, pageCount }: PageSource): void {
  const isPower = Number.isInteger(Math.log2(pageSize)) && pageSize >= 512 && pageSize <= 65_536;
  if (isPower && Number.isInteger(pageCount) && pageCount >= 1) return;
  const shape = `${pageCount} pages of ${pageSize} bytes`;
  throw new ReplicaError("CORRUPT_PAGE", `no SQLite database has ${shape}`);
}
