import { isReplicaError, ReplicaError, throwIfAborted } from "../../shared/errors.ts";
import { LIST_PAGE_MAX } from "../../shared/limits.ts";
import { isEmptyRange, resolveRange } from "../../shared/storage/byte-range.ts";
import { cutParts, type PutBody } from "../../shared/storage/bytes.ts";
import type {
  DeleteOptions,
  Etag,
  GetOptions,
  ListOptions,
  ListPage,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  StoredBytes,
} from "../../shared/storage/object-store.ts";

/** Parts of a multipart upload: R2 wants them equal and of 5 MiB at least; two must fit a Worker. */
const PART_BYTES = 8 * 1024 * 1024;
const DELETE_KEYS_MAX = 1000;

export interface R2StoreOptions {
  /** Objects in one page of a listing; R2 may answer fewer. */
  readonly pageSize?: number;
}

/**
 * A bucket through a Worker's binding.
 *
 * The binding cannot be cancelled: a signal is looked at before and after each of its calls. A
 * streamed body that needs several parts meets `onlyIf` by a look right before the end: another
 * writer between the two is overwritten. A body in one piece meets it atomically.
 */
export class R2Store implements ObjectStore {
  readonly #bucket: R2Bucket;
  readonly #pageSize: number;

  constructor(bucket: R2Bucket, options: R2StoreOptions = {}) {
    this.#bucket = bucket;
    this.#pageSize = options.pageSize ?? LIST_PAGE_MAX;
  }

  async list(options: ListOptions): Promise<ListPage> {
    const { prefix, startAfter, cursor, withMetadata, signal } = options;
    const listed = await attempt(`list "${prefix}"`, signal, () =>
      this.#bucket.list({
        prefix,
        limit: this.#pageSize,
        ...(cursor !== undefined && { cursor }),
        ...(startAfter !== undefined && cursor === undefined && { startAfter }),
        ...(withMetadata && { include: ["customMetadata"] }),
      }),
    );
    const objects = listed.objects.map((object) => infoOf(object, withMetadata === true));
    return listed.truncated ? { objects, cursor: listed.cursor } : { objects };
  }

  async get(key: string, options: GetOptions = {}): Promise<StoredBytes | undefined> {
    const { range, ifMatch, signal } = options;
    if (isEmptyRange(range)) return this.#getNothing(key, options);
    try {
      return await attempt(`read "${key}"`, signal, async () => {
        const object = await this.#bucket.get(key, {
          ...(range !== undefined && { range }),
          ...(ifMatch !== undefined && { onlyIf: { etagMatches: ifMatch } }),
        });
        if (object === null) return undefined;
        if (!("body" in object)) throw conflict(key, "holds other content than was expected");
        if (signal?.aborted) {
          await object.body.cancel();
          throwIfAborted(signal);
        }
        const bytes = new Uint8Array(await object.arrayBuffer());
        return storedBytes(object, bytes);
      });
    } catch (error) {
      // A range with no byte in it is an error to the binding, one that has no name of its own.
      if (!isReplicaError(error, "R2_ERROR") || range === undefined) throw error;
      const nothing = await this.#getNothing(key, options);
      if (!nothing || resolveRange(range, nothing.totalBytes).length === 0) return nothing;
      throw error;
    }
  }

  put(key: string, body: PutBody, options: PutOptions = {}): Promise<ObjectInfo> {
    return attempt(`write "${key}"`, options.signal, async () => {
      if (body instanceof Uint8Array) return this.#putWhole(key, body, options);
      const parts = cutParts(body, PART_BYTES, options.signal);
      const first = await parts.next();
      if (first.done) return this.#putWhole(key, new Uint8Array(0), options);
      throwIfAborted(options.signal);
      const second = await parts.next();
      if (second.done) return this.#putWhole(key, first.value, options);
      return this.#putParts(key, [first.value, second.value], parts, options);
    });
  }

  async delete(keys: readonly string[], { signal }: DeleteOptions = {}): Promise<void> {
    for (let index = 0; index < keys.length; index += DELETE_KEYS_MAX) {
      const batch = keys.slice(index, index + DELETE_KEYS_MAX);
      await attempt(`delete ${batch.length} keys`, signal, () => this.#bucket.delete(batch));
    }
    throwIfAborted(signal);
  }

  async #getNothing(key: string, options: GetOptions): Promise<StoredBytes | undefined> {
    const { ifMatch, signal } = options;
    const object = await attempt(`read "${key}"`, signal, () => this.#bucket.head(key));
    if (object === null) return undefined;
    if (ifMatch !== undefined && object.etag !== ifMatch) {
      throw conflict(key, "holds other content than was expected");
    }
    return storedBytes(object, new Uint8Array(0));
  }

  async #putWhole(key: string, bytes: Uint8Array, options: PutOptions): Promise<ObjectInfo> {
    const { metadata, onlyIf, signal } = options;
    throwIfAborted(signal);
    const object = await this.#bucket.put(key, bytes, {
      ...(metadata && { customMetadata: { ...metadata } }),
      ...(onlyIf && {
        onlyIf: "absent" in onlyIf ? { etagDoesNotMatch: "*" } : { etagMatches: onlyIf.etag },
      }),
    });
    if (object === null) throw conflict(key, conflictOf(options));
    return infoOf(object, false);
  }

  async #putParts(
    key: string,
    begun: readonly Uint8Array[],
    rest: AsyncIterable<Uint8Array>,
    options: PutOptions,
  ): Promise<ObjectInfo> {
    const { metadata, signal } = options;
    const upload = await this.#bucket.createMultipartUpload(
      key,
      metadata && { customMetadata: { ...metadata } },
    );
    try {
      const uploaded: R2UploadedPart[] = [];
      const send = async (part: Uint8Array) => {
        throwIfAborted(signal);
        uploaded.push(await upload.uploadPart(uploaded.length + 1, part));
      };
      for (const part of begun) await send(part);
      for await (const part of rest) await send(part);
      throwIfAborted(signal);
      await this.#expect(key, options);
      return infoOf(await upload.complete(uploaded), false);
    } catch (error) {
      // The first failure is the one to tell; R2 drops forgotten uploads after a week.
      await upload.abort().catch(() => undefined);
      throw error;
    }
  }

  /** Throws `STORE_CONFLICT` when `onlyIf` does not hold at this moment. */
  async #expect(key: string, options: PutOptions): Promise<void> {
    if (options.onlyIf === undefined) return;
    const etag = (await this.#bucket.head(key))?.etag;
    const expected = "absent" in options.onlyIf ? undefined : options.onlyIf.etag;
    if (etag !== expected) throw conflict(key, conflictOf(options));
  }
}

async function attempt<T>(
  what: string,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  throwIfAborted(signal);
  let result: T;
  try {
    result = await work();
  } catch (error) {
    throwIfAborted(signal);
    if (error instanceof ReplicaError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new ReplicaError("R2_ERROR", `cannot ${what} in the bucket: ${reason}`, { cause: error });
  }
  throwIfAborted(signal);
  return result;
}

function infoOf(object: R2Object, withMetadata: boolean): ObjectInfo {
  return {
    key: object.key,
    sizeBytes: object.size,
    uploadedAtMs: object.uploaded.getTime(),
    etag: object.etag as Etag,
    ...(withMetadata && { metadata: object.customMetadata ?? {} }),
  };
}

function storedBytes(object: R2Object, bytes: Uint8Array): StoredBytes {
  const { size, etag, customMetadata } = object;
  return { bytes, totalBytes: size, etag: etag as Etag, metadata: customMetadata ?? {} };
}

function conflict(key: string, what: string): ReplicaError {
  return new ReplicaError("STORE_CONFLICT", `"${key}" ${what}`);
}

function conflictOf({ onlyIf }: PutOptions): string {
  const absent = onlyIf !== undefined && "absent" in onlyIf;
  return `${absent ? "exists already" : "was changed or removed meanwhile"}, so it was not written`;
}
