import type { ObjectStore } from "../storage/object-store.ts";

/** Runs a piece of work once there is a place for it. */
export type Slots = <Result>(work: () => Promise<Result>) => Promise<Result>;

/** Lets `count` pieces of work run at a time; the others wait for their turn, first come first served. */
export function slots(count: number): Slots {
  let free = count;
  const waiting: (() => void)[] = [];
  return async (work) => {
    // A place that gets free goes to who waits for it, and is not free in between.
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}

/**
 * `store` with at most `requestsMax` reads in flight at a time, whoever of its users they come from.
 * It belongs to one request of a Worker: a read that waits for another's must not outlive it.
 */
export function limitRequests(store: ObjectStore, requestsMax: number): ObjectStore {
  const inTurn = slots(requestsMax);
  return {
    list: (options) => inTurn(() => store.list(options)),
    get: (key, options) => inTurn(() => store.get(key, options)),
    put: (key, body, options) => store.put(key, body, options),
    delete: (keys, options) => store.delete(keys, options),
  };
}
