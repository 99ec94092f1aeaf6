import { resolveRange } from "../../shared/storage/byte-range.ts";
import { joinChunks } from "../../shared/storage/bytes.ts";
import type { GetOptions, ObjectStore, StoredBytes } from "../../shared/storage/object-store.ts";
import { withMethods } from "../../shared/storage/with-methods.ts";

/**
 * `store` as one who has read the beginning of one object sees it: what lies in that beginning is
 * answered from memory, and of what goes beyond it only the rest is asked for.
 */
export function withBeginning(
  store: ObjectStore,
  key: string,
  beginning: StoredBytes,
): ObjectStore {
  const { bytes: known, totalBytes, etag } = beginning;

  const read = async (options: GetOptions): Promise<StoredBytes | undefined> => {
    const { range, ifMatch, signal } = options;
    const { offset, length } = resolveRange(range, totalBytes);
    const end = offset + length;
    if (offset > known.length || (ifMatch !== undefined && ifMatch !== etag)) {
      return store.get(key, options);
    }
    const begun = known.subarray(offset, end);
    if (end <= known.length) return { ...beginning, bytes: begun };
    const missing = { offset: known.length, length: end - known.length };
    // The two parts must be of one object.
    const rest = await store.get(key, { range: missing, ifMatch: etag, signal });
    return rest && { ...beginning, bytes: joinChunks([begun, rest.bytes]) };
  };

  return withMethods(store, {
    get: (wanted, options = {}) => (wanted === key ? read(options) : store.get(wanted, options)),
  });
}
