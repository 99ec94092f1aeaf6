import { isReplicaError, ReplicaError } from "../errors.ts";
import { OFFSET_HIGH, type IndexColumns } from "../ltx/kernel.ts";
import { decodePageFrame } from "../ltx/page-frame.ts";

/**
 * Of the frames at the end of a file, so many are taken: what ANALYZE has found lies there mostly, as it was made last,
 * and SQLite reads it before any query.
 */
const LAST_FRAMES = 16;

/** Called with a page's frame, and where it begins in the file, in bytes. */
export type FrameVisitor = (pgno: number, offset: number, frame: Uint8Array) => void;

interface Place {
  readonly pgno: number;
  readonly offset: number;
  readonly size: number;
}

/** The page frames that came along with the beginning and the end of a file, which are read for its header and index. */
export class FramesAlong {
  readonly #head: Uint8Array;
  readonly #tail: Uint8Array;
  readonly #tailStart: number;
  readonly #first: Place[] = [];
  #last: readonly Place[] = [];

  /** @param sizeBytes Of the whole file. */
  constructor(head: Uint8Array, tail: Uint8Array, sizeBytes: number) {
    this.#head = head;
    this.#tail = tail;
    this.#tailStart = sizeBytes - tail.length;
  }

  /** Notes which of these entries of the file's index, the next ones, have their frames here. */
  note(columns: IndexColumns): void {
    const count = columns.pgnos.length;
    // The frames follow one another.
    for (let at = 0; at < count; at++) {
      const place = placeAt(columns, at);
      if (place.offset + place.size > this.#head.length) break;
      this.#first.push(place);
    }
    const last = Array.from({ length: Math.min(LAST_FRAMES, count) }, (_, back) =>
      placeAt(columns, count - 1 - back),
    );
    // The last entries may be fewer than that, behind the many that were shown before.
    this.#last = [...last, ...this.#last]
      .slice(0, LAST_FRAMES)
      .filter(({ offset }) => offset >= this.#tailStart);
  }

  /**
   * Shows the frames: the kernel may be used meanwhile, which it may not while entries are noted. What is wrong with
   * one of the last shows when somebody asks for its page.
   */
  take(visit: FrameVisitor): void {
    for (const { pgno, offset, size } of this.#first) {
      visit(pgno, offset, this.#head.subarray(offset, offset + size));
    }
    for (const { pgno, offset, size } of this.#last) {
      const start = offset - this.#tailStart;
      try {
        visit(pgno, offset, this.#tail.subarray(start, start + size));
      } catch (error) {
        if (!isReplicaError(error, "CORRUPT_PAGE")) throw error;
      }
    }
  }
}

function placeAt({ pgnos, offsetsLow, offsetsHigh, sizes }: IndexColumns, at: number): Place {
  const offset = offsetsHigh[at] * OFFSET_HIGH + offsetsLow[at];
  return { pgno: pgnos[at], offset, size: sizes[at] };
}

/** Decodes a frame and makes sure that it holds the page that was asked for. */
export function decodeFrameOf(pgno: number, frame: Uint8Array, pageSize: number): Uint8Array {
  const decoded = decodePageFrame(frame, pageSize);
  if (decoded.pgno === pgno) return decoded.page;
  const sentence = `the frame of page ${pgno} holds page ${decoded.pgno}`;
  throw new ReplicaError("CORRUPT_PAGE", sentence);
}
