import type {
  GetOptions,
  ListOptions,
  ListPage,
  ObjectInfo,
  ObjectStore,
  StoredBytes,
} from "../../shared/storage/object-store.ts";

/** The bucket as one request sees it: counts what the request reads, and writes nothing. */
export class MeteredStore implements ObjectStore {
  readonly #store: ObjectStore;
  /** Requests for objects or parts of them. */
  gets = 0;
  lists = 0;
  /** Bytes of objects that came back. */
  bytes = 0;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  list(options: ListOptions): Promise<ListPage> {
    this.lists++;
    return this.#store.list(options);
  }

  async get(key: string, options?: GetOptions): Promise<StoredBytes | undefined> {
    this.gets++;
    const stored = await this.#store.get(key, options);
    this.bytes += stored?.bytes.length ?? 0;
    return stored;
  }

  put(): Promise<ObjectInfo> {
    throw new Error("the Worker does not write to a replica");
  }

  delete(): Promise<void> {
    throw new Error("the Worker does not delete from a replica");
  }
}
