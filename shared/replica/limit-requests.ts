import { throwIfAborted } from "../errors.ts";
import type { ObjectStore } from "../storage/object-store.ts";

/** Runs a piece of work once there is a place for it; what can wait is begun when nothing else waits. */
export type Slots = <Result>(
  work: () => Promise<Result>,
  turn?: "soon" | "later",
) => Promise<Result>;

/** Lets `count` pieces of work run at a time; the others wait for their turn, first come first served. */
export function slots(count: number): Slots {
  let free = count;
  const waiting = { soon: [] as (() => void)[], later: [] as (() => void)[] };
  return async (work, turn = "soon") => {
    // A place that gets free goes to who waits for it, and is not free in between.
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting[turn].push(resolve));
    try {
      return await work();
    } finally {
      const next = waiting.soon.shift() ?? waiting.later.shift();
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
  return inTurns(store, requestsMax).soon;
}

/**
 * The same for reads of two kinds, which share the places: those that somebody waits for go before those
 * that are made ahead.
 */
export function inTurns(
  store: ObjectStore,
  requestsMax: number,
): { readonly soon: ObjectStore; readonly later: ObjectStore } {
  const place = slots(requestsMax);
  const of = (turn: "soon" | "later"): ObjectStore => ({
    list: (options) => place(() => store.list(options), turn),
    get: (key, options) =>
      place(async () => {
        // Whoever has gone while it waited for its turn asks for nothing.
        throwIfAborted(options?.signal);
        return store.get(key, options);
      }, turn),
    put: (key, body, options) => store.put(key, body, options),
    delete: (keys, options) => store.delete(keys, options),
  });
  return { soon: of("soon"), later: of("later") };
}
