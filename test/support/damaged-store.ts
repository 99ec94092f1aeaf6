/** A bucket in memory one of whose objects is damaged. */
import { ReplicaError } from "../../shared/errors.ts";
import { resolveRange } from "../../shared/storage/byte-range.ts";
import { compareKeys } from "../../shared/storage/key-order.ts";
import type {
  Etag,
  GetOptions,
  ListOptions,
  ListPage,
  Metadata,
  ObjectStore,
  StoredBytes,
} from "../../shared/storage/object-store.ts";

/** More than any reader of these tests asks for: whoever asks for more goes round in circles. */
const REQUESTS_MAX = 2_000;

/**
 * What a damaged object is called: by another ETag, as in every real store, or by its old one, as in one
 * whose disk decays behind its index.
 */
export type DamageNaming = "by another ETag" | "as before";

/** Answers the bytes as they are when they are damaged. */
export type Damage = (bytes: Uint8Array) => Uint8Array;

/** Turns one bit over, counted from the object's first. */
export function flipBit(bit: number): Damage {
  return (bytes) => {
    const damaged = bytes.slice();
    damaged[bit >> 3] ^= 1 << (bit & 7);
    return damaged;
  };
}

/** One object of a bucket, whole. */
export interface WholeObject {
  readonly bytes: Uint8Array;
  readonly etag: Etag;
  readonly metadata: Metadata;
}

export type WholeObjects = ReadonlyMap<string, WholeObject>;

/** Everything that a store holds under a prefix, in the order of a listing. */
export async function takeObjects(store: ObjectStore, prefix: string): Promise<WholeObjects> {
  const objects = new Map<string, WholeObject>();
  let cursor: string | undefined;
  do {
    const page = await store.list({ prefix, cursor });
    for (const { key } of page.objects) {
      const stored = await store.get(key);
      if (!stored) throw new Error(`there is no ${key}`);
      objects.set(key, stored);
    }
    cursor = page.cursor;
  } while (cursor !== undefined);
  return objects;
}

/** The same content, called otherwise: as another store would. */
export function copyObjects(objects: WholeObjects): WholeObjects {
  const copies = [...objects].map(
    ([key, object]) => [key, { ...object, etag: `copy of ${object.etag}` as Etag }] as const,
  );
  return new Map(copies);
}

export interface DamagedStoreOptions {
  readonly key: string;
  readonly damage: Damage;
  readonly naming: DamageNaming;
}

/** Objects of which one is damaged from the moment on when `strike` is called. */
export class DamagedStore implements ObjectStore {
  readonly #sound: WholeObjects;
  readonly #damaged: WholeObjects;
  #isStruck = false;
  #requests = 0;

  constructor(objects: WholeObjects, { key, damage, naming }: DamagedStoreOptions) {
    const object = objects.get(key);
    if (!object) throw new Error(`there is no ${key}`);
    const { bytes, etag, metadata } = object;
    const name = naming === "as before" ? etag : (`damaged ${etag}` as Etag);
    this.#sound = objects;
    this.#damaged = new Map([[key, { bytes: damage(bytes), etag: name, metadata }]]);
  }

  strike(): void {
    this.#isStruck = true;
  }

  list({ prefix, startAfter, cursor }: ListOptions): Promise<ListPage> {
    this.#count();
    const after = cursor ?? startAfter;
    const keys = [...this.#sound.keys()].filter(
      (key) => key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0),
    );
    const objects = keys.flatMap((key) => {
      const object = this.#object(key);
      if (!object) return [];
      const { etag, metadata, bytes } = object;
      return [{ key, sizeBytes: bytes.length, uploadedAtMs: 0, etag, metadata }];
    });
    return Promise.resolve({ objects });
  }

  get(key: string, { range, ifMatch }: GetOptions = {}): Promise<StoredBytes | undefined> {
    this.#count();
    const object = this.#object(key);
    if (!object) return Promise.resolve(undefined);
    const { bytes, etag, metadata } = object;
    if (ifMatch !== undefined && ifMatch !== etag) {
      return Promise.reject(new ReplicaError("STORE_CONFLICT", `"${key}" holds other content`));
    }
    const { offset, length } = resolveRange(range, bytes.length);
    const part = bytes.slice(offset, offset + length);
    return Promise.resolve({ bytes: part, totalBytes: bytes.length, etag, metadata });
  }

  put(): Promise<never> {
    return Promise.reject(new Error("nobody writes here"));
  }

  delete(): Promise<never> {
    return Promise.reject(new Error("nobody deletes here"));
  }

  #object(key: string): WholeObject | undefined {
    return (this.#isStruck ? this.#damaged.get(key) : undefined) ?? this.#sound.get(key);
  }

  #count(): void {
    if (++this.#requests > REQUESTS_MAX) throw new Error(`more than ${REQUESTS_MAX} requests`);
  }
}
