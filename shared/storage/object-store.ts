declare const etagBrand: unique symbol;

/** What a store answers for the identity of an object's content, without quotes. */
export type Etag = string & { readonly [etagBrand]: true };

export interface ObjectInfo {
  readonly key: string;
  readonly sizeBytes: number;
  /** Milliseconds since the Unix epoch, as the store reports it. */
  readonly uploadedAtMs: number;
  readonly etag: Etag;
  /** Absent where the store's listing does not carry it (S3). */
  readonly metadata?: Metadata;
}

/** User metadata; names in lower case, without a store's own prefix. */
export type Metadata = Readonly<Record<string, string>>;

export interface ListPage {
  /** In ascending key order. May be shorter than asked for, even empty, when `cursor` is set. */
  readonly objects: readonly ObjectInfo[];
  /** Present while more pages remain. */
  readonly cursor?: string;
}

export interface ListOptions {
  readonly prefix: string;
  /** First page only: keys strictly after this one. */
  readonly startAfter?: string | undefined;
  readonly cursor?: string | undefined;
  /** Ask for user metadata too, where a listing can carry it. Pages may then be shorter. */
  readonly withMetadata?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes from `offset` on (fewer at the end of the object), or the last `suffix` bytes. */
export type ByteRange =
  | { readonly offset: number; readonly length: number }
  | { readonly suffix: number };

export interface GetOptions {
  readonly range?: ByteRange | undefined;
  /** Answer only this content; another one under the key is `STORE_CONFLICT`. */
  readonly ifMatch?: Etag | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a `get` answers. */
export interface StoredBytes {
  /** The bytes of the range that was asked for. */
  readonly bytes: Uint8Array;
  /** Size of the whole object. */
  readonly totalBytes: number;
  readonly etag: Etag;
  readonly metadata: Metadata;
}

export type PutCondition = { readonly absent: true } | { readonly etag: Etag };

export interface PutOptions {
  readonly metadata?: Metadata | undefined;
  readonly onlyIf?: PutCondition | undefined;
  /** Refuse with `BAD_CONFIG` where the service cannot check `onlyIf` in the same step. */
  readonly mustBeAtomic?: boolean | undefined;
  /** Called when a body that goes up in parts is complete, right before it becomes visible; an error gives it up. */
  readonly beforeComplete?: (() => Promise<void> | undefined) | undefined;
  /**
   * Upper bound of a streamed body's size where it is known: S3 takes 10,000 parts of one size, by
   * default 156 GiB in all, and chooses larger parts for more. Above what one PUT takes, nothing is read
   * ahead to find out whether it would.
   */
  readonly sizeBytesMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface DeleteOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * The whole of what Eddy asks of a bucket. R2, the S3 API, a folder and memory implement it, and
 * `test/support/object-store-contract.ts` holds for each.
 *
 * Errors of all methods: `STORE_DENIED` (credentials), `R2_ERROR` (the store did not answer or
 * answered nonsense), `ABORTED` (the signal fired).
 */
export interface ObjectStore {
  /** One page of the keys that begin with `prefix`. */
  list(options: ListOptions): Promise<ListPage>;
  /**
   * Resolves to undefined when there is no such key. A range that begins beyond the end gives no
   * bytes and no error.
   *
   * @throws {ReplicaError} `STORE_CONFLICT` when `ifMatch` does not hold.
   */
  get(key: string, options?: GetOptions): Promise<StoredBytes | undefined>;
  /**
   * Atomic: readers see the old object or the new one, never a part.
   *
   * @throws {ReplicaError} `STORE_CONFLICT` when `onlyIf` does not hold.
   */
  put(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: PutOptions,
  ): Promise<ObjectInfo>;
  /** A key that does not exist is no error. */
  delete(keys: readonly string[], options?: DeleteOptions): Promise<void>;
}
