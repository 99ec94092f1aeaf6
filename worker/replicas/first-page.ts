import type { ListPage, ObjectStore } from "../../shared/storage/object-store.ts";

/**
 * `store` as one who has listed the first page of `prefix` sees it: that page is answered from memory,
 * and everything else asked for.
 */
export function withFirstPage(store: ObjectStore, prefix: string, page: ListPage): ObjectStore {
  return {
    list: (options) => {
      const { startAfter, cursor, withMetadata } = options;
      const isFirst = startAfter === undefined && cursor === undefined && withMetadata !== true;
      return isFirst && options.prefix === prefix ? Promise.resolve(page) : store.list(options);
    },
    get: (key, options) => store.get(key, options),
    put: (key, body, options) => store.put(key, body, options),
    delete: (keys, options) => store.delete(keys, options),
  };
}
