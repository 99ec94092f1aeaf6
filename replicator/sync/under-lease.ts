import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { Lease } from "./lease.ts";
import { withMethods } from "../../shared/storage/with-methods.ts";

/**
 * `replica` in which nothing is written or deleted but under the lease: for what is done beside level 0,
 * where no TXID stands in the way of a second replicator. Reading takes none.
 *
 * @param lease Undefined where it is switched off.
 */
export function underLease(replica: Replica, lease: Lease | undefined): Replica {
  if (!lease) return replica;
  const { store } = replica;
  const never = new AbortController().signal;
  return {
    ...replica,
    store: withMethods(store, {
      put: (key, body, options) =>
        lease.during(options?.signal ?? never, (signal) => {
          const beforeComplete = () => lease.confirm(signal);
          return store.put(key, body, { ...options, beforeComplete, signal });
        }),
      delete: (keys, options) =>
        lease.during(options?.signal ?? never, (signal) => store.delete(keys, { signal })),
    }),
  };
}
