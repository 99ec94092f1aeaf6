import { ReplicaError, isReplicaError } from "../errors.ts";
import { decodeFrameOf } from "./frames-along.ts";
import type { PageFrame, PageRange } from "./page-ranges.ts";
import { readObject } from "./read-object.ts";
import type { Snapshot } from "./snapshot.ts";
import { verifyPage } from "./verify-page.ts";

/** One page out of a ranged read. */
export interface ReadPage {
  readonly pgno: number;
  readonly page: Uint8Array;
  /** Its checksum was known and is right. */
  readonly isVerified: boolean;
}

/**
 * Reads one range and decodes its frames; each page whose checksum is known is held against it.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, naming the object; `OBJECT_MISSING` when it is gone.
 */
export async function readPages(
  snapshot: Snapshot,
  range: PageRange,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<ReadPage[]> {
  const bytes = await readRange(snapshot, range, signal);
  return range.frames.map((frame) => decodePage(snapshot, range, { bytes, frame }));
}

/**
 * The bytes of one range, as its object has them.
 *
 * @throws {ReplicaError} `OBJECT_MISSING` when the object is gone.
 */
export async function readRange(
  { replica, files }: Snapshot,
  range: PageRange,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  const { bytes } = await readObject(replica, files[range.file], range, signal);
  return bytes;
}

/**
 * Decodes one frame of a range that was read; the page is held against its checksum where that is known.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, naming the object.
 */
export function decodePage(
  snapshot: Snapshot,
  { file, offset }: PageRange,
  { bytes, frame }: { readonly bytes: Uint8Array; readonly frame: PageFrame },
): ReadPage {
  const { pgno, size } = frame;
  const start = frame.offset - offset;
  const { key } = snapshot.files[file];
  const page = decodeNamed(key, () =>
    decodeFrameOf(pgno, bytes.subarray(start, start + size), snapshot.pageSize),
  );
  return { pgno, page, isVerified: verifyPage(snapshot, { ...frame, file }, page) };
}

function decodeNamed(key: string, decode: () => Uint8Array): Uint8Array {
  try {
    return decode();
  } catch (cause) {
    if (!isReplicaError(cause, "CORRUPT_PAGE")) throw cause;
    throw new ReplicaError("CORRUPT_PAGE", `"${key}" is damaged: ${cause.message}`, { cause });
  }
}
