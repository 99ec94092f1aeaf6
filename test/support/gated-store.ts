import type { ObjectStore } from "../../shared/storage/object-store.ts";

/** One PUT that has arrived and not been carried out. */
export interface HeldPut {
  /** Resolves when it has arrived. */
  readonly arrived: Promise<void>;
  /** Lets it go on. */
  release(): void;
}

/** A store whose PUTs can be stopped on their way, as those of a process that is paused. */
export interface GatedStore extends ObjectStore {
  /** Stops the next PUT of a key that fits. */
  holdNext(fits: (key: string) => boolean): HeldPut;
}

interface Gate {
  readonly fits: (key: string) => boolean;
  readonly arrived: PromiseWithResolvers<void>;
  readonly released: PromiseWithResolvers<void>;
}

export function gatedStore(store: ObjectStore): GatedStore {
  const gates: Gate[] = [];
  return {
    holdNext(fits) {
      const gate: Gate = {
        fits,
        arrived: Promise.withResolvers<void>(),
        released: Promise.withResolvers<void>(),
      };
      gates.push(gate);
      return { arrived: gate.arrived.promise, release: () => gate.released.resolve() };
    },
    list: (options) => store.list(options),
    get: (key, options) => store.get(key, options),
    async put(key, body, options) {
      const index = gates.findIndex(({ fits }) => fits(key));
      const [gate] = index < 0 ? [] : gates.splice(index, 1);
      gate?.arrived.resolve();
      await gate?.released.promise;
      return await store.put(key, body, options);
    },
    delete: (keys, options) => store.delete(keys, options),
  };
}
