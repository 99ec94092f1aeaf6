/** A store whose reads can be stopped on their way, to see who waits for which. */
import { ReplicaError } from "../../shared/errors.ts";
import type { GetOptions, ObjectStore, StoredBytes } from "../../shared/storage/object-store.ts";

/** One read that has been asked for and not answered. */
export interface HeldRead {
  readonly key: string;
  readonly offset: number;
  readonly length: number;
  /** Nobody wants its answer any more. */
  readonly isCancelled: boolean;
  release(): void;
  fail(error: ReplicaError): void;
}

export interface HoldingStore extends ObjectStore {
  /** Reads that are asked for from now on wait. */
  isHolding: boolean;
  /** Where it is set, only those of keys in which this occurs. */
  holdsOnly: string;
  /** Reads that wait, in the order in which they were asked for. */
  readonly held: readonly HeldRead[];
  /** Reads that waited, or were about to, and were cancelled. */
  readonly cancelled: number;
  /** Resolves when so many reads wait at a time. */
  waiting(count: number): Promise<void>;
  /** Ends the waiting of all reads that wait, and of those to come. */
  releaseAll(): void;
  /** Forgets the reads so far. */
  reset(): void;
  /** Reads since then that have asked for a byte of an object. */
  timesAskedFor(key: string, offset: number): number;
}

export function holdingStore(store: ObjectStore): HoldingStore {
  return new Holding(store);
}

class Holding implements HoldingStore {
  isHolding = false;
  holdsOnly = "";
  held: HeldRead[] = [];
  cancelled = 0;
  readonly #store: ObjectStore;
  #asked: Pick<HeldRead, "key" | "offset" | "length">[] = [];

  #counted: { readonly count: number; readonly resolve: () => void }[] = [];

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  async waiting(count: number): Promise<void> {
    if (this.held.length >= count) return;
    await new Promise<void>((resolve) => this.#counted.push({ count, resolve }));
  }

  releaseAll(): void {
    this.isHolding = false;
    for (const read of this.held) read.release();
  }

  reset(): void {
    this.#asked = [];
  }

  timesAskedFor(key: string, offset: number): number {
    return this.#asked.filter(
      (read) => read.key === key && offset >= read.offset && offset < read.offset + read.length,
    ).length;
  }

  list(options: Parameters<ObjectStore["list"]>[0]) {
    return this.#store.list(options);
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredBytes | undefined> {
    const { range, signal } = options;
    const { offset, length } =
      range && "offset" in range ? range : { offset: 0, length: Number.MAX_SAFE_INTEGER };
    this.#asked.push({ key, offset, length });
    if (this.isHolding && key.includes(this.holdsOnly))
      await this.#hold({ key, offset, length }, signal);
    return await this.#store.get(key, options);
  }

  put(...args: Parameters<ObjectStore["put"]>) {
    return this.#store.put(...args);
  }

  delete(...args: Parameters<ObjectStore["delete"]>) {
    return this.#store.delete(...args);
  }

  async #hold(
    place: Pick<HeldRead, "key" | "offset" | "length">,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const gate = Promise.withResolvers<void>();
    const read = {
      ...place,
      isCancelled: signal?.aborted ?? false,
      release: () => gate.resolve(),
      fail: (error: ReplicaError) => gate.reject(error),
    };
    const cancel = () => {
      read.isCancelled = true;
      this.cancelled++;
      gate.reject(new ReplicaError("ABORTED", "the read was cancelled"));
    };
    signal?.addEventListener("abort", cancel, { once: true });
    if (read.isCancelled) cancel();
    this.held.push(read);
    for (const { count, resolve } of this.#counted) if (this.held.length >= count) resolve();
    try {
      await gate.promise;
    } finally {
      signal?.removeEventListener("abort", cancel);
      this.held = this.held.filter((other) => other !== read);
    }
  }
}
