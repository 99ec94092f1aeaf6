/** A replica of the `ledger` database in memory, with an edge bundle where a test makes one. */
import { inject } from "vitest";
import { updateBundle } from "../../../shared/replica/edge-bundle/update-bundle.ts";
import { storeSink } from "../../../shared/replica/edge-bundle/bundle-sink.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { putSpans, type FileSpan } from "../ltx-spans.ts";
import { replicaIn } from "../replica-fixtures.ts";

/** Files of level 0, one a transaction. */
export function singles(first: number, last: number): FileSpan[] {
  return Array.from({ length: last - first + 1 }, (_, index) => [0, first + index, first + index]);
}

export interface LedgerReplica {
  readonly memory: MemoryStore;
  readonly replica: Replica;
  put(...spans: readonly FileSpan[]): Promise<void>;
  /** Makes a bundle of what is there now; the pages in its head may take `hotBytesMax`. */
  bundle(hotBytesMax?: number): Promise<void>;
  keys(prefix: string): Promise<string[]>;
  bytes(key: string): Promise<Uint8Array>;
  /** Puts the objects whose keys begin so into another store, which calls them otherwise. */
  copyOf(prefix: string): Promise<MemoryStore>;
}

/** @param pageSize Keys in one page of a listing. */
export function ledgerReplica(pageSize?: number): LedgerReplica {
  const memory = new MemoryStore(pageSize === undefined ? {} : { pageSize });
  const replica = replicaIn(memory);
  const images = inject("ledger");
  const keys = async (prefix: string) => {
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await memory.list({ prefix, cursor });
      found.push(...page.objects.map(({ key }) => key));
      cursor = page.cursor;
    } while (cursor !== undefined);
    return found;
  };
  const bytes = async (key: string) => {
    const stored = await memory.get(key);
    if (!stored) throw new Error(`there is no ${key}`);
    return stored.bytes;
  };
  return {
    memory,
    replica,
    keys,
    bytes,
    put: (...spans) => putSpans(replica, images, spans),
    bundle: async (hotBytesMax) => {
      await updateBundle(replica, storeSink(replica), { hotBytesMax, fromScratch: true });
    },
    copyOf: async (prefix) => {
      const copy = new MemoryStore();
      // The store's ETags count what was put into it.
      await copy.put("elsewhere", new Uint8Array());
      for (const key of await keys(prefix)) await copy.put(key, await bytes(key));
      return copy;
    },
  };
}
