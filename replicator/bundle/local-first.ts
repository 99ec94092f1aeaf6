import { type FileHandle, open } from "node:fs/promises";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { ByteRange } from "../../shared/storage/object-store.ts";
import { codeOf } from "../storage/durable-file.ts";
import { withMethods } from "../../shared/storage/with-methods.ts";

export interface LocalCopies {
  /** What is known of a file in the store. */
  infoOf(key: string): LtxFileInfo | undefined;
  /** Where a copy of a file may be on this machine; it may have gone. */
  pathOf(file: LtxFileInfo): string | undefined;
}

/**
 * `replica` for reading, of which parts that are on this machine are not fetched. Whether a copy is what is in
 * the store shows when the whole file has been read: its checksum is the last of it.
 */
export function localFirst(replica: Replica, copies: LocalCopies): Replica {
  const { store } = replica;
  return {
    ...replica,
    store: withMethods(store, {
      async get(key, options) {
        const info = copies.infoOf(key);
        const path = info && copies.pathOf(info);
        const { range, ifMatch } = options ?? {};
        if (info && path !== undefined && range && (!ifMatch || ifMatch === info.etag)) {
          const bytes = await readCopy(path, info.sizeBytes, range);
          if (bytes) return { bytes, totalBytes: info.sizeBytes, etag: info.etag, metadata: {} };
        }
        return await store.get(key, options);
      },
    }),
  };
}

/** Undefined where the copy is not there, not of this size, or not to be read: the store has it all the same. */
async function readCopy(
  path: string,
  sizeBytes: number,
  range: ByteRange,
): Promise<Uint8Array | undefined> {
  try {
    await using file = await open(path, "r");
    return await readRange(file, sizeBytes, range);
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}

async function readRange(
  file: FileHandle,
  sizeBytes: number,
  range: ByteRange,
): Promise<Uint8Array | undefined> {
  if ((await file.stat()).size !== sizeBytes) return undefined;
  const offset = "suffix" in range ? Math.max(0, sizeBytes - range.suffix) : range.offset;
  const length = Math.max(
    0,
    Math.min(sizeBytes - offset, "suffix" in range ? sizeBytes : range.length),
  );
  const bytes = new Uint8Array(length);
  const { bytesRead } = await file.read(bytes, 0, length, offset);
  return bytesRead === length ? bytes : undefined;
}
