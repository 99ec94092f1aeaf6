import { ReplicaError, isReplicaError } from "../errors.ts";
import { decodeFrameOf } from "./ltx-file.ts";
import type { PageRange } from "./page-ranges.ts";
import { readObject } from "./read-object.ts";
import type { Snapshot } from "./snapshot.ts";
import { verifyPage } from "./verify-page.ts";

/** One page out of a ranged read. */
export interface ReadPage {
  readonly pgno: number;
  /** Where its frame begins in the LTX file, in bytes. */
  readonly offset: number;
  readonly page: Uint8Array;
  /** Its checksum was known and is right. */
  readonly isVerified: boolean;
}

export interface ReadPagesOptions {
  /** Whether a page was asked for: a damaged one that only comes along is left out, and no error. */
  readonly isAsked?: (pgno: number) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads one range and decodes its frames; each page whose checksum is known is held against it.
 * `bytes` says how many the store answered.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, naming the object; `OBJECT_MISSING` when it is gone.
 */
export async function readPages(
  snapshot: Snapshot,
  range: PageRange,
  { isAsked = () => true, signal }: ReadPagesOptions = {},
): Promise<{ bytes: number; pages: ReadPage[] }> {
  const { file } = range;
  const info = snapshot.files[file];
  const { bytes } = await readObject(snapshot.replica, info, range, signal);
  const pages: ReadPage[] = [];
  for (const frame of range.frames) {
    const { pgno, offset, size } = frame;
    const start = offset - range.offset;
    try {
      const encoded = bytes.subarray(start, start + size);
      const page = decodeNamed(info.key, () => decodeFrameOf(pgno, encoded, snapshot.pageSize));
      const isVerified = verifyPage(snapshot, { ...frame, file }, page);
      pages.push({ pgno, offset, page, isVerified });
    } catch (error) {
      if (isAsked(pgno) || !isReplicaError(error, "CORRUPT_PAGE")) throw error;
    }
  }
  return { bytes: bytes.length, pages };
}

function decodeNamed(key: string, decode: () => Uint8Array): Uint8Array {
  try {
    return decode();
  } catch (cause) {
    if (!isReplicaError(cause, "CORRUPT_PAGE")) throw cause;
    throw new ReplicaError("CORRUPT_PAGE", `"${key}" is damaged: ${cause.message}`, { cause });
  }
}
