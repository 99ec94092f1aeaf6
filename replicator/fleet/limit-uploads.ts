import type { Slots } from "../../shared/replica/limit-requests.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";

/** `replica` with its uploads taking their turn with those of the others that share `inTurn`. */
export function limitUploads(replica: Replica, inTurn: Slots): Replica {
  const { store } = replica;
  return {
    ...replica,
    store: {
      list: (options) => store.list(options),
      get: (key, options) => store.get(key, options),
      put: (key, body, options) => inTurn(() => store.put(key, body, options)),
      delete: (keys, options) => store.delete(keys, options),
    },
  };
}
