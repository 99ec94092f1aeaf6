import { ReplicaError, isReplicaError } from "../errors.ts";
import {
  findInWindow,
  readIndexWindow,
  type IndexPart,
  type IndexWindow,
} from "../ltx/index-window.ts";
import { LTX_HEADER_BYTES } from "../ltx/header.ts";
import type { IndexWindows, WindowsAround } from "./index-windows.ts";
import { fileIdentity, type IndexBounds, type LtxFile } from "./ltx-file.ts";
import type { LtxFileInfo } from "./list-ltx-files.ts";
import type { FoundPage, LocatorRead, PageLocation, PageLocator } from "./page-locator.ts";
import { readObject } from "./read-object.ts";

/**
 * The first read of a look-up, around where the page should be; the second, around where it is by what
 * the first has shown; the third, where pages are spread unevenly. In bytes.
 */
const READ_BYTES = [32 * 1024, 64 * 1024, 128 * 1024] as const;
/** What later ones take, each in the middle of what is left. In bytes. */
const READ_BYTES_MAX = 256 * 1024;

export interface LazyIndexOptions {
  /** Index of the file in the snapshot's files. */
  readonly file: number;
  /** Where the parts that were read are kept. */
  readonly windows: IndexWindows;
}

/**
 * The page index of one large LTX file, of which only the parts are read that somebody asks for: a
 * look-up takes one read or two, and some more only where the file has some of the database's pages and
 * these are spread unevenly. What was read is kept
 * in `windows`, under the file's identity.
 */
export class LazyIndex implements PageLocator {
  readonly sizeBytes = 0;
  readonly #info: LtxFileInfo;
  readonly #bounds: IndexBounds;
  readonly #file: number;
  readonly #identity: string;
  readonly #windows: IndexWindows;

  constructor(
    { info, bounds }: Pick<LtxFile, "info" | "bounds">,
    { file, windows }: LazyIndexOptions,
  ) {
    this.#info = info;
    this.#bounds = bounds;
    this.#file = file;
    this.#identity = fileIdentity(info);
    this.#windows = windows;
  }

  get(pgno: number): PageLocation | null | undefined {
    return this.#answer(pgno, this.#windows.around(this.#identity, pgno));
  }

  async find(pgno: number, read: LocatorRead): Promise<FoundPage> {
    let around = this.#windows.around(this.#identity, pgno);
    let recent: IndexWindow | undefined;
    let isUnclear = false;
    // Bounded by the index: each read that tells anything leaves less of it, and the read after one that
    // does not begins where an entry begins.
    for (let attempt = 0; ; attempt++) {
      const location = this.#answer(pgno, around);
      if (location !== undefined) return { location };
      const gap = { ...this.#gap(around), ...around, recent };
      const part = isUnclear ? forward(gap) : this.#choose(pgno, gap, attempt);
      const window = await this.#read(part, read);
      if (!window && part.isAligned) this.#refuse("an entry of its page index has no end");
      isUnclear = !window;
      if (!window) continue;
      this.#check(window, around);
      this.#windows.add(this.#identity, window);
      recent = window;
      // From here on by what was read, not by what is kept: that may be gone again.
      around =
        window.pgnos[0] <= pgno
          ? { below: window, above: around.above }
          : { below: around.below, above: window };
    }
  }

  #answer(pgno: number, around: WindowsAround): PageLocation | null | undefined {
    if (pgno > this.#bounds.lastPgno) return null;
    const { below } = around;
    if (below && pgno <= below.pgnos[below.pgnos.length - 1]) {
      const entry = findInWindow(below, pgno);
      return entry ? { file: this.#file, ...entry } : null;
    }
    const { start, end } = this.#gap(around);
    return start >= end ? null : undefined;
  }

  /** What of the index nobody has read around a page. */
  #gap({ below, above }: WindowsAround): { start: number; end: number } {
    return { start: below?.end ?? 0, end: above?.start ?? this.#bounds.length - 1 };
  }

  /** What to read of the gap that a page lies in. */
  #choose(pgno: number, gap: Gap, attempt: number): Omit<IndexPart, "isEnd"> & { stop: number } {
    const { start, end } = gap;
    const length = READ_BYTES[attempt] ?? READ_BYTES_MAX;
    // What is left over would be read for the neighbours of the page soon.
    if (end - start <= 1.5 * length) return { start, stop: end, isAligned: true };
    const place = this.#estimate(pgno, gap, attempt);
    const from = Math.round(Math.min(Math.max(place - length / 2, start), end - length));
    const isNear = from - start < length / 4;
    return { start: isNear ? start : from, stop: from + length, isAligned: isNear };
  }

  /** Where in a gap the entry of a page should begin, in bytes from the start of the index. */
  #estimate(pgno: number, gap: Gap, attempt: number): number {
    const { start, end, below, above, recent } = gap;
    const weight = (number: number) => this.#weight(number);
    if (attempt >= READ_BYTES.length) return (start + end) / 2;
    if (recent && recent.pgnos.length > 1) {
      // By how dense the entries are where the last read was.
      const [first, last] = [recent.pgnos[0], recent.pgnos[recent.pgnos.length - 1]];
      const density = (recent.end - recent.start) / (weight(last) - weight(first));
      const place =
        recent === below
          ? start + (weight(pgno) - weight(last)) * density
          : end - (weight(first) - weight(pgno)) * density;
      if (place >= start && place <= end) return place;
    }
    const low = weight(below ? below.pgnos[below.pgnos.length - 1] : 0);
    const high = weight(above ? above.pgnos[0] : this.#bounds.lastPgno + 1);
    return start + ((weight(pgno) - low) / (high - low)) * (end - start);
  }

  /**
   * About how many bytes the entries of all pages before one take, were they all in the file: varints
   * grow with page numbers and offsets. A file with some of the pages has about as large a share of that.
   */
  #weight(pgno: number): number {
    const { offset, lastPgno } = this.#bounds;
    const frameBytes = offset / lastPgno;
    let bytes = 4 * pgno;
    for (let unit = 0x80; unit < Number.MAX_SAFE_INTEGER; unit *= 0x80) {
      bytes += Math.max(0, pgno - unit) + Math.max(0, pgno - unit / frameBytes);
    }
    return bytes;
  }

  async #read(
    { start, stop, isAligned }: Omit<IndexPart, "isEnd"> & { stop: number },
    { replica, signal }: LocatorRead,
  ): Promise<IndexWindow | undefined> {
    const { offset, length } = this.#bounds;
    const isEnd = stop >= length - 1;
    const range = { offset: offset + start, length: (isEnd ? length : stop) - start };
    const { bytes } = await readObject(replica, this.#info, range, signal);
    try {
      return readIndexWindow(bytes, { start, isAligned, isEnd });
    } catch (cause) {
      if (!isReplicaError(cause, "CORRUPT_PAGE")) throw cause;
      return this.#refuse(cause.message, cause);
    }
  }

  /** Holds what was read against what was known before and behind it. */
  #check(window: IndexWindow, { below, above }: WindowsAround): void {
    const { start, end, pgnos, offsets } = window;
    const last = pgnos.length - 1;
    const before = below
      ? { pgno: below.pgnos[below.pgnos.length - 1], offset: below.offsets.at(-1)!, end: below.end }
      : { pgno: 0, offset: LTX_HEADER_BYTES, end: 0 };
    const isBehind =
      pgnos[0] > before.pgno &&
      (start === before.end ? offsets[0] === before.offset : offsets[0] > before.offset);
    const isBefore =
      !above ||
      (pgnos[last] < above.pgnos[0] &&
        (end === above.start
          ? offsets[last + 1] === above.offsets[0]
          : offsets[last + 1] < above.offsets[0]));
    if (!isBehind || !isBefore) this.#refuse("the parts of its page index do not fit together");
  }

  #refuse(what: string, cause?: unknown): never {
    const sentence = `"${this.#info.key}" is damaged: ${what}`;
    throw new ReplicaError("CORRUPT_PAGE", sentence, { cause });
  }
}

interface Gap extends WindowsAround {
  readonly start: number;
  readonly end: number;
  /** What was read last for the page that is looked up. */
  readonly recent: IndexWindow | undefined;
}

/** The beginning of a gap, where an entry begins. */
function forward({ start, end }: Gap): Omit<IndexPart, "isEnd"> & { stop: number } {
  return { start, stop: Math.min(start + READ_BYTES_MAX, end), isAligned: true };
}
