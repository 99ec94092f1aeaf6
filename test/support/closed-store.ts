/** A store whose writes wait until a test lets them through: a store that does not answer. */
import { throwIfAborted } from "../../shared/errors.ts";
import type { ObjectStore } from "../../shared/storage/object-store.ts";

export interface ClosedStore extends ObjectStore {
  /** Lets through what waits, and whatever comes. */
  open(): void;
}

export function closedStore(store: ObjectStore): ClosedStore {
  const gate = Promise.withResolvers<void>();
  return {
    open: () => gate.resolve(),
    list: (options) => store.list(options),
    get: (key, options) => store.get(key, options),
    async put(key, body, options) {
      const gone = Promise.withResolvers<void>();
      options?.signal?.addEventListener("abort", () => gone.resolve(), { once: true });
      await Promise.race([gate.promise, gone.promise]);
      throwIfAborted(options?.signal);
      return await store.put(key, body, options);
    },
    delete: (keys, options) => store.delete(keys, options),
  };
}
