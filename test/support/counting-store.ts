import type {
  GetOptions,
  ListOptions,
  ListPage,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  StoredBytes,
} from "../../shared/storage/object-store.ts";

/** A store that counts what is asked of it, for tests on what an operation costs. */
export interface CountingStore extends ObjectStore {
  readonly lists: number;
  readonly gets: number;
  readonly puts: number;
  /** Calls of `delete`, however many keys each names. */
  readonly deletes: number;
  /** Bytes that `get` answered. */
  readonly bytesRead: number;
  /** Most requests that were under way at one moment. */
  readonly inFlightMax: number;
  /**
   * Round trips that had to wait for one another: a request's round is one more than the highest
   * round of those that were answered before it began, so what runs side by side counts once.
   */
  readonly rounds: number;
  /** Keys that `get` was asked for, in order. */
  readonly keysRead: readonly string[];
  /** Sets every count back to zero. */
  reset(): void;
}

/** Counts what a caller asks of `store`. */
export function countingStore(store: ObjectStore): CountingStore {
  return new Counter(store);
}

class Counter implements CountingStore {
  lists = 0;
  gets = 0;
  puts = 0;
  deletes = 0;
  bytesRead = 0;
  inFlightMax = 0;
  rounds = 0;
  keysRead: string[] = [];
  #inFlight = 0;
  #roundsAnswered = 0;
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  reset(): void {
    this.lists = this.gets = this.puts = this.deletes = 0;
    this.bytesRead = this.inFlightMax = this.rounds = 0;
    this.keysRead = [];
    this.#roundsAnswered = 0;
  }

  list(options: ListOptions): Promise<ListPage> {
    this.lists++;
    return this.#count(() => this.#store.list(options));
  }

  async get(key: string, options?: GetOptions): Promise<StoredBytes | undefined> {
    this.gets++;
    this.keysRead.push(key);
    const stored = await this.#count(() => this.#store.get(key, options));
    this.bytesRead += stored?.bytes.length ?? 0;
    return stored;
  }

  put(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: PutOptions,
  ): Promise<ObjectInfo> {
    this.puts++;
    return this.#count(() => this.#store.put(key, body, options));
  }

  delete(keys: readonly string[], options?: { signal?: AbortSignal | undefined }): Promise<void> {
    this.deletes++;
    return this.#count(() => this.#store.delete(keys, options));
  }

  async #count<T>(request: () => Promise<T>): Promise<T> {
    const round = this.#roundsAnswered + 1;
    this.rounds = Math.max(this.rounds, round);
    this.#inFlight++;
    this.inFlightMax = Math.max(this.inFlightMax, this.#inFlight);
    try {
      return await request();
    } finally {
      this.#inFlight--;
      this.#roundsAnswered = Math.max(this.#roundsAnswered, round);
    }
  }
}
