import { SINGLE_PUT_BYTES_MAX } from "../limits.ts";
import { cutParts, joinChunks, type PutBody } from "./bytes.ts";
import { type Digests, webDigests } from "./digests.ts";
import type { HttpFetch } from "./http.ts";
import type {
  DeleteOptions,
  GetOptions,
  ListOptions,
  ListPage,
  ObjectInfo,
  ObjectStore,
  PutOptions,
  StoredBytes,
} from "./object-store.ts";
import { sleepWithTimer } from "./retry.ts";
import { S3Client } from "./s3-client.ts";
import { deleteObjects } from "./s3-delete.ts";
import { getObject } from "./s3-get.ts";
import { listObjects } from "./s3-listing.ts";
import { PARTS_MAX, putMultipart } from "./s3-multipart.ts";
import { putInfo, putObject } from "./s3-put.ts";
import { type S3Credentials, S3Signer } from "./s3-sign.ts";

const MIB = 1024 * 1024;
const PART_BYTES_DEFAULT = 8 * MIB;
const ATTEMPTS_DEFAULT = 6;
const IDLE_MS_DEFAULT = 30_000;

export interface S3StoreOptions extends S3Credentials {
  /** With scheme: `https://ACCOUNT_ID.r2.cloudflarestorage.com`. May have a path. */
  readonly endpoint: string;
  readonly bucket: string;
  /** `auto` for R2. */
  readonly region: string;
  /** The bucket in the path (the default), or in the host name. */
  readonly forcePathStyle?: boolean;
  readonly fetch: HttpFetch;
  /** The system's clock, in milliseconds since the epoch: signatures name their time. */
  readonly now: () => number;
  /** From 0 up to, not including, 1: spreads what is repeated. */
  readonly random: () => number;
  readonly sleep?: (ms: number, signal: AbortSignal | undefined) => Promise<void>;
  /** MD5, which `crypto.subtle` does not have: lets the service check what it receives. */
  readonly md5?: (bytes: Uint8Array) => Uint8Array;
  /** Digests that need no copy of a body, and no waiting; `crypto.subtle` does where there are none. */
  readonly digests?: Digests;
  /** Sign a digest of each body even where TLS or MD5 protect it; some services ask for it. */
  readonly signPayload?: boolean;
  /** Sent with every request, names in lower case: what one service understands. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent with each object that is written: `STANDARD_IA`, for example. */
  readonly storageClass?: string;
  /** Size of a part of a multipart upload; at least 5 MiB but for tests. */
  readonly partBytes?: number;
  /** Largest body that goes up in one PUT. */
  readonly singlePutBytesMax?: number;
  /** Objects in one page of a listing; the service's own limit when left out. */
  readonly pageSize?: number;
  /** How often a request is sent before its failure is told. */
  readonly attemptsMax?: number;
  /** Longest time in which nothing arrives; a body's way up is allowed for on top. */
  readonly idleMs?: number;
}

/**
 * A bucket through the S3 API: R2, MinIO, SeaweedFS, B2, Tigris, S3 itself.
 *
 * Bodies go up with Content-Length and in one piece, signed or protected by TLS or MD5; never
 * chunked, never with CRC trailers, which R2 and others refuse. Conditions are atomic for bodies
 * up to 64 MiB, which go by one PUT; larger ones leave a window, see `putMultipart`. Answers 5xx,
 * 429 and 408, dropped connections and bodies that break off are repeated with growing waits.
 */
export class S3Store implements ObjectStore {
  readonly #client: S3Client;
  readonly #options: S3StoreOptions;
  readonly #putHeaders: Record<string, string>;
  readonly #singlePutBytesMax: number;

  constructor(options: S3StoreOptions) {
    const { endpoint, bucket, forcePathStyle = true, storageClass } = options;
    const { digests = webDigests } = options;
    this.#options = options;
    this.#client = new S3Client({
      address: { endpoint: endpoint.replace(/\/+$/, ""), bucket, forcePathStyle },
      signer: new S3Signer({ ...options, digests }),
      fetch: options.fetch,
      policy: {
        attemptsMax: options.attemptsMax ?? ATTEMPTS_DEFAULT,
        random: options.random,
        sleep: options.sleep ?? sleepWithTimer,
      },
      idleMs: options.idleMs ?? IDLE_MS_DEFAULT,
      md5: options.md5,
      digests,
      headers: options.headers ?? {},
      signPayload: options.signPayload ?? false,
    });
    this.#putHeaders = storageClass === undefined ? {} : { "x-amz-storage-class": storageClass };
    this.#singlePutBytesMax = options.singlePutBytesMax ?? SINGLE_PUT_BYTES_MAX;
  }

  list(options: ListOptions): Promise<ListPage> {
    return listObjects(this.#client, options, this.#options.pageSize);
  }

  get(key: string, options: GetOptions = {}): Promise<StoredBytes | undefined> {
    return getObject(this.#client, key, options);
  }

  async put(key: string, body: PutBody, options: PutOptions = {}): Promise<ObjectInfo> {
    if (body instanceof Uint8Array && body.length <= this.#singlePutBytesMax) {
      return this.#putWhole(key, body, options);
    }
    const sizeBytes = body instanceof Uint8Array ? body.length : options.sizeBytesMax;
    const partBytes = this.#partBytesFor(sizeBytes);
    const spare: Uint8Array[] = [];
    const parts = cutParts(body, partBytes, options.signal, spare);
    // A condition is atomic in one PUT only, so as much as one may hold is read ahead for it, unless it is
    // known that this will not do.
    const mayFit = (sizeBytes ?? 0) <= this.#singlePutBytesMax;
    const aheadBytes = options.onlyIf && mayFit ? this.#singlePutBytesMax : partBytes;
    const ahead: Uint8Array[] = [];
    try {
      for (let bytes = 0; bytes <= aheadBytes;) {
        const next = await parts.next();
        if (next.done) return await this.#putWhole(key, joinChunks(ahead), options);
        ahead.push(next.value);
        bytes += next.value.length;
      }
      const all = chain(ahead, parts);
      // Views of the caller's bytes are not ours to write over.
      const onSent = (part: Uint8Array) => {
        if (!(body instanceof Uint8Array) && part.length === partBytes) spare.push(part);
      };
      const put = { ...options, headers: this.#putHeaders, onSent };
      const { etag, sizeBytes } = await putMultipart(this.#client, key, all, put);
      return putInfo(key, sizeBytes, etag, this.#options.now());
    } finally {
      // Ends the body's iterator where it was left early.
      await parts.return();
    }
  }

  delete(keys: readonly string[], options: DeleteOptions = {}): Promise<void> {
    return deleteObjects(this.#client, keys, options.signal);
  }

  async #putWhole(key: string, bytes: Uint8Array, options: PutOptions): Promise<ObjectInfo> {
    const etag = await putObject(this.#client, key, bytes, {
      ...options,
      headers: this.#putHeaders,
    });
    return putInfo(key, bytes.length, etag, this.#options.now());
  }

  /** Parts are equal, so their size is settled before the first: 10,000 have to suffice. */
  #partBytesFor(sizeBytes: number | undefined): number {
    const chosen = this.#options.partBytes ?? PART_BYTES_DEFAULT;
    return Math.max(chosen, Math.ceil((sizeBytes ?? 0) / PARTS_MAX / MIB) * MIB);
  }
}

async function* chain(
  ahead: Uint8Array[],
  rest: AsyncGenerator<Uint8Array, void, undefined>,
): AsyncGenerator<Uint8Array, void, undefined> {
  // Let go one by one, so that what is uploaded need not stay in memory.
  for (let part = ahead.shift(); part !== undefined; part = ahead.shift()) yield part;
  yield* rest;
}
