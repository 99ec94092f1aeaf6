import type { ObjectStore } from "../../shared/storage/object-store.ts";
import { withMethods } from "../../shared/storage/with-methods.ts";

/** Every read takes one turn of the event loop, so that reads side by side are answered together. */
export function withLatency(store: ObjectStore): ObjectStore {
  return withMethods(store, {
    get: async (key, options) => {
      await new Promise((resolve) => setImmediate(resolve));
      return store.get(key, options);
    },
  });
}
