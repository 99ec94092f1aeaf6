import type { IndexWindow } from "../ltx/index-window.ts";

/** What an entry of a window takes: a page number and an offset. */
const ENTRY_BYTES = 12;
/** What a window costs beside its entries, roughly. */
const WINDOW_BYTES = 300;

/** The windows of one file next to a page. */
export interface WindowsAround {
  /** The last one whose first page is not behind the page; it may hold it. */
  readonly below: IndexWindow | undefined;
  /** The first one whose first page is behind the page. */
  readonly above: IndexWindow | undefined;
}

/**
 * Parts of the page indexes of large LTX files, by the files' identities. One serves an isolate: what
 * has not been used for longest goes first. Values only: a promise must not be shared between a
 * Worker's requests.
 */
export class IndexWindows {
  readonly #bytesMax: number;
  /** By where they begin; no one lies within another. */
  readonly #byFile = new Map<string, IndexWindow[]>();
  /** Each with its file, least recently used first. */
  readonly #used = new Map<IndexWindow, string>();
  #bytes = 0;

  constructor({ bytesMax }: { readonly bytesMax: number }) {
    this.#bytesMax = bytesMax;
  }

  /** Bytes that are kept now. */
  get bytes(): number {
    return this.#bytes;
  }

  around(file: string, pgno: number): WindowsAround {
    const windows = this.#byFile.get(file) ?? [];
    let low = 0;
    let high = windows.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (windows[middle].pgnos[0] <= pgno) low = middle + 1;
      else high = middle;
    }
    const below: IndexWindow | undefined = windows[low - 1];
    if (below) this.#touch(below, file);
    return { below, above: windows[low] };
  }

  add(file: string, window: IndexWindow): void {
    const windows = this.#byFile.get(file) ?? [];
    if (windows.some((other) => other.start <= window.start && window.end <= other.end)) return;
    const isWithin = (other: IndexWindow) => window.start <= other.start && other.end <= window.end;
    for (const other of windows.filter(isWithin)) this.#remove(other, file);
    const kept = [...windows.filter((other) => !isWithin(other)), window];
    this.#byFile.set(
      file,
      kept.sort((a, b) => a.start - b.start),
    );
    this.#touch(window, file);
    this.#bytes += bytesOf(window);
    for (const [oldest, itsFile] of this.#used) {
      if (this.#bytes <= this.#bytesMax || oldest === window) break;
      this.#remove(oldest, itsFile);
    }
  }

  #touch(window: IndexWindow, file: string): void {
    this.#used.delete(window);
    this.#used.set(window, file);
  }

  #remove(window: IndexWindow, file: string): void {
    this.#used.delete(window);
    this.#bytes -= bytesOf(window);
    const kept = (this.#byFile.get(file) ?? []).filter((other) => other !== window);
    if (kept.length > 0) this.#byFile.set(file, kept);
    else this.#byFile.delete(file);
  }
}

function bytesOf({ pgnos }: IndexWindow): number {
  return pgnos.length * ENTRY_BYTES + WINDOW_BYTES;
}
