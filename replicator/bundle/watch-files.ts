import { parseLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import { toLtxFile, type LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { withMethods } from "../../shared/storage/with-methods.ts";

export interface FileWatch {
  /** A file is about to be put that begins a history: nothing was committed before it. */
  beginning(signal: AbortSignal | undefined): Promise<void>;
  /** An LTX file was put into the store. */
  stored(file: LtxFileInfo): void;
  /** These LTX files are about to be deleted; they are when this resolves. */
  leaving(keys: readonly string[], signal: AbortSignal | undefined): Promise<void>;
}

/** `replica`, of whose LTX files `watch` is told what is put and what is deleted, whoever does it. */
export function watchFiles(replica: Replica, watch: FileWatch): Replica {
  const { store } = replica;
  return {
    ...replica,
    store: withMethods(store, {
      async put(key, body, options) {
        const place = parseLtxKey(replica, key);
        if (place?.level === 0 && place.minTxid === 1n) await watch.beginning(options?.signal);
        const info = await store.put(key, body, options);
        const { metadata } = options ?? {};
        const file = toLtxFile(replica, metadata ? { ...info, metadata } : info);
        if (file) watch.stored(file);
        return info;
      },
      async delete(keys, options) {
        const files = keys.filter((key) => parseLtxKey(replica, key));
        if (files.length > 0) await watch.leaving(files, options?.signal);
        await store.delete(keys, options);
      },
    }),
  };
}
