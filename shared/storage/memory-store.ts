import { ReplicaError, throwIfAborted } from "../errors.ts";
import { LIST_PAGE_MAX } from "../limits.ts";
import { resolveRange } from "./byte-range.ts";
import { collectBytes, type PutBody } from "./bytes.ts";
import { compareKeys } from "./key-order.ts";
import type {
  DeleteOptions,
  Etag,
  GetOptions,
  ListOptions,
  ListPage,
  Metadata,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  StoredBytes,
} from "./object-store.ts";

interface StoredObject extends Required<ObjectInfo> {
  readonly bytes: Uint8Array;
}

export interface MemoryStoreOptions {
  /** Objects in one page of a listing: small ones show whether a caller is lazy. */
  readonly pageSize?: number;
  /** Clock for `uploadedAtMs`; always 0 when left out. */
  readonly now?: () => number;
}

/** A bucket in memory, for tests and for what must not outlive its process. */
export class MemoryStore implements ObjectStore {
  readonly #objects = new Map<string, StoredObject>();
  readonly #pageSize: number;
  readonly #now: () => number;
  #versions = 0;

  constructor(options: MemoryStoreOptions = {}) {
    this.#pageSize = options.pageSize ?? LIST_PAGE_MAX;
    this.#now = options.now ?? (() => 0);
  }

  async list(options: ListOptions): Promise<ListPage> {
    const { prefix, startAfter, cursor, withMetadata, signal } = options;
    throwIfAborted(signal);
    const after = cursor ?? startAfter;
    const keys = [...this.#objects.keys()]
      .filter((key) => key.startsWith(prefix))
      .filter((key) => after === undefined || compareKeys(key, after) > 0)
      .sort(compareKeys);
    const page = keys.slice(0, this.#pageSize);
    const objects = page.map((key) => infoOf(this.#objects.get(key)!, withMetadata === true));
    const last = page.at(-1);
    return keys.length > page.length && last !== undefined
      ? { objects, cursor: last }
      : { objects };
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredBytes | undefined> {
    throwIfAborted(options.signal);
    const stored = this.#objects.get(key);
    if (stored === undefined) return undefined;
    const { bytes, sizeBytes, etag, metadata } = stored;
    if (options.ifMatch !== undefined && options.ifMatch !== etag) {
      throw new ReplicaError("STORE_CONFLICT", `"${key}" holds other content than was expected`);
    }
    const { offset, length } = resolveRange(options.range, sizeBytes);
    // A copy, so that no caller can change what is stored.
    return { bytes: bytes.slice(offset, offset + length), totalBytes: sizeBytes, etag, metadata };
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<ObjectInfo> {
    const { metadata = {}, onlyIf, signal } = options;
    throwIfAborted(signal);
    const bytes = Uint8Array.from(await collectBytes(body, signal));
    throwIfAborted(signal);
    // From here on nothing waits, so looking and storing are one step.
    const present = this.#objects.get(key)?.etag;
    if (onlyIf && ("absent" in onlyIf ? present !== undefined : present !== onlyIf.etag)) {
      const what = "absent" in onlyIf ? "exists already" : "was changed or removed meanwhile";
      throw new ReplicaError("STORE_CONFLICT", `"${key}" ${what}, so it was not written`);
    }
    const stored: StoredObject = {
      key,
      bytes,
      sizeBytes: bytes.length,
      uploadedAtMs: this.#now(),
      etag: `v${++this.#versions}` as Etag,
      metadata: lowerCaseNames(metadata),
    };
    this.#objects.set(key, stored);
    return infoOf(stored, false);
  }

  async delete(keys: readonly string[], options: DeleteOptions = {}): Promise<void> {
    throwIfAborted(options.signal);
    for (const key of keys) this.#objects.delete(key);
  }
}

function infoOf(stored: StoredObject, withMetadata: boolean): ObjectInfo {
  const { key, sizeBytes, uploadedAtMs, etag, metadata } = stored;
  return { key, sizeBytes, uploadedAtMs, etag, ...(withMetadata && { metadata }) };
}

function lowerCaseNames(metadata: Metadata): Metadata {
  return Object.fromEntries(
    Object.entries(metadata).map(([name, value]) => [name.toLowerCase(), value]),
  );
}
