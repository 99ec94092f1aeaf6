import { ReplicaError, isReplicaError } from "../errors.ts";
import { decodeFrameOf } from "./ltx-file.ts";
import type { PageRange } from "./page-ranges.ts";
import { readObject } from "./read-object.ts";
import type { Snapshot } from "./snapshot.ts";

/** One page out of a ranged read. */
export interface ReadPage {
  readonly pgno: number;
  /** Where its frame begins in the LTX file, in bytes. */
  readonly offset: number;
  readonly page: Uint8Array;
}

export interface ReadPagesOptions {
  /** Whether a page was asked for: a damaged one that only comes along is left out, and no error. */
  readonly isAsked?: (pgno: number) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads one range and decodes its frames; `bytes` says how many the store answered.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, naming the object; `OBJECT_MISSING` when it is gone.
 */
export async function readPages(
  { replica, plan, pageSize }: Snapshot,
  range: PageRange,
  { isAsked = () => true, signal }: ReadPagesOptions = {},
): Promise<{ bytes: number; pages: ReadPage[] }> {
  const info = plan.files[range.file];
  const { bytes } = await readObject(replica, info, range, signal);
  const pages: ReadPage[] = [];
  for (const { pgno, offset, size } of range.frames) {
    const start = offset - range.offset;
    try {
      const page = decodeFrameOf(pgno, bytes.subarray(start, start + size), pageSize);
      pages.push({ pgno, offset, page });
    } catch (cause) {
      if (!isReplicaError(cause, "CORRUPT_PAGE")) throw cause;
      const sentence = `"${info.key}" is damaged: ${cause.message}`;
      if (isAsked(pgno)) throw new ReplicaError("CORRUPT_PAGE", sentence, { cause });
    }
  }
  return { bytes: bytes.length, pages };
}
