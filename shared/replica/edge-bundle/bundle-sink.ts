import { ReplicaError } from "../../errors.ts";
import type { Replica } from "../ltx-key.ts";
import type { BaseReference } from "./bundle-format.ts";
import { formatBaseKey, formatHeadKey } from "./bundle-keys.ts";

/** Where a bundle goes: the base first, as the head names it. */
export interface BundleSink {
  base(
    reference: Pick<BaseReference, "txid" | "id">,
    body: AsyncIterable<Uint8Array>,
  ): Promise<void>;
  head(bytes: Uint8Array): Promise<void>;
}

/** Puts a bundle beside its replica. A head is rewritten in place; readers see the old one or the new. */
export function storeSink(replica: Replica, signal?: AbortSignal): BundleSink {
  const { store } = replica;
  return {
    async base(reference, body) {
      let sizeBytes = 0;
      async function* counted() {
        for await (const chunk of body) {
          sizeBytes += chunk.length;
          yield chunk;
        }
      }
      const key = formatBaseKey(replica, reference);
      const stored = await store.put(key, counted(), { signal });
      if (stored.sizeBytes === sizeBytes) return;
      const sentence = `the store says that "${key}" has ${stored.sizeBytes} bytes, and ${sizeBytes} were sent`;
      throw new ReplicaError("R2_ERROR", sentence);
    },
    async head(bytes) {
      await store.put(formatHeadKey(replica), bytes, { signal });
    },
  };
}

/** Takes a bundle and keeps nothing: what would it come to? */
export function countingSink(): BundleSink {
  return {
    async base(_reference, body) {
      for await (const chunk of body) void chunk;
    },
    async head() {},
  };
}
