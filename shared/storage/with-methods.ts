import type { ObjectStore } from "./object-store.ts";

/** `store` with other methods in the place of some of its own, which they call. */
export function withMethods(store: ObjectStore, methods: Partial<ObjectStore>): ObjectStore {
  return {
    list: (options) => store.list(options),
    get: (key, options) => store.get(key, options),
    put: (key, body, options) => store.put(key, body, options),
    delete: (keys, options) => store.delete(keys, options),
    ...methods,
  };
}
