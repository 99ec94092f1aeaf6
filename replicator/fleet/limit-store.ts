import type { Slots } from "../../shared/replica/limit-requests.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";

/** Places that many replicas share; an upload may read as it goes, so the two never wait for each other. */
export interface StoreLimits {
  readonly reads: Slots;
  readonly uploads: Slots;
}

/**
 * `replica` whose requests take their turn with those of the others that share `limits`. A lease does not: it is
 * confirmed within an upload, which would wait for its own place, and it runs out while it waits.
 */
export function limitStore(replica: Replica, { reads, uploads }: StoreLimits): Replica {
  const { store } = replica;
  return {
    ...replica,
    store: {
      list: (options) => reads(() => store.list(options)),
      get: (key, options) => reads(() => store.get(key, options)),
      put(key, body, options) {
        const put = () => store.put(key, body, options);
        return options?.mustBeAtomic ? put() : uploads(put);
      },
      delete: (keys, options) => store.delete(keys, options),
    },
  };
}
