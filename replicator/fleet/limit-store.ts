import type { Slots } from "../../shared/replica/limit-requests.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";

/** Places that many replicas share; an upload may read as it goes, so the two never wait for each other. */
export interface StoreLimits {
  readonly reads: Slots;
  readonly uploads: Slots;
}

/** `replica` whose requests take their turn with those of the others that share `limits`. */
export function limitStore(replica: Replica, { reads, uploads }: StoreLimits): Replica {
  const { store } = replica;
  return {
    ...replica,
    store: {
      list: (options) => reads(() => store.list(options)),
      get: (key, options) => reads(() => store.get(key, options)),
      put: (key, body, options) => uploads(() => store.put(key, body, options)),
      delete: (keys, options) => store.delete(keys, options),
    },
  };
}
