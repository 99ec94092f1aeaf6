export interface BoundedMapOptions<V> {
  /** The sum of the weights that is kept; the count, where nothing is weighed. */
  readonly max: number;
  readonly weigh?: (value: V) => number;
}

/**
 * A map that forgets what has not been used for longest. It holds values and never promises: in
 * workerd a request that waits for another request's promise is cancelled.
 */
export class BoundedMap<K, V> {
  readonly #entries = new Map<K, V>();
  readonly #max: number;
  readonly #weigh: (value: V) => number;
  #weight = 0;

  constructor({ max, weigh = () => 1 }: BoundedMapOptions<V>) {
    this.#max = max;
    this.#weigh = weigh;
  }

  /** The sum of the weights of what is kept now. */
  get weight(): number {
    return this.#weight;
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    // The map keeps the order of insertion: put last, it goes last.
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: K, value: V): void {
    this.delete(key);
    this.#entries.set(key, value);
    this.#weight += this.#weigh(value);
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#max || oldest === key) return;
      this.delete(oldest);
    }
  }

  delete(key: K): void {
    const value = this.#entries.get(key);
    if (value === undefined) return;
    this.#entries.delete(key);
    this.#weight -= this.#weigh(value);
  }

  keys(): IterableIterator<K> {
    return this.#entries.keys();
  }
}
