import type {
  ByteRange,
  GetOptions,
  ListOptions,
  ListPage,
  ObjectInfo,
  ObjectStore,
  StoredBytes,
} from "../../shared/storage/object-store.ts";
import type { ReadBudget } from "./read-budget.ts";

/** A longer range than any of an LTX file's only bounds what an object may have, whatever its size. In bytes. */
const RANGE_BYTES_MAX = 4 * 1024 * 1024;
/** What is reckoned for such an object: about an edge bundle's head. In bytes. */
const WHOLE_BYTES = 512 * 1024;

/** The bucket as one request sees it: counts what the request reads, in turn with others, and writes nothing. */
export class MeteredStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #budget: ReadBudget;
  /** Requests for objects or parts of them. */
  gets = 0;
  lists = 0;
  /** Bytes of objects that came back. */
  bytes = 0;

  constructor(store: ObjectStore, budget: ReadBudget) {
    this.#store = store;
    this.#budget = budget;
  }

  list(options: ListOptions): Promise<ListPage> {
    this.lists++;
    return this.#store.list(options);
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredBytes | undefined> {
    this.gets++;
    const reading = await this.#budget.begin(bytesOf(options.range), options.signal);
    try {
      const stored = await this.#store.get(key, options);
      this.bytes += stored?.bytes.length ?? 0;
      return stored;
    } finally {
      this.#budget.end(reading);
    }
  }

  put(): Promise<ObjectInfo> {
    throw new Error("the Worker does not write to a replica");
  }

  delete(): Promise<void> {
    throw new Error("the Worker does not delete from a replica");
  }
}

function bytesOf(range: ByteRange | undefined): number {
  if (range === undefined) return WHOLE_BYTES;
  if ("suffix" in range) return range.suffix;
  return range.length > RANGE_BYTES_MAX ? WHOLE_BYTES : range.length;
}
