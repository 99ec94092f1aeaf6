import type {
  Etag,
  GetOptions,
  ObjectStore,
  StoredBytes,
} from "../../shared/storage/object-store.ts";

/** Longer ranges are not kept, in bytes: they are a scan's or a download's. */
const BLOCK_BYTES_MAX = 1024 * 1024;
/** No host has this name, so that no request from outside can ask for what is kept. */
const ORIGIN = "https://blocks.eddy.invalid";
/** What the name of an edge bundle's base begins with: it names its content. */
const BASE = /\/eddy\/base-[^/]+$/;

export interface BlockCacheOptions {
  /** The data centre's. */
  readonly cache: Pick<Cache, "match" | "put">;
  /** Names the bucket among all that share the cache; no part of it is secret. */
  readonly bucket: string;
  /** Whose `waitUntil` lets what is kept be written after the answer. */
  readonly context: Pick<ExecutionContext, "waitUntil">;
}

/**
 * `store` with the platform's cache before it: for ranges of objects whose content is named, by the ETag
 * that a read is pinned to or by a base's own name. They never change, so what is kept cannot be stale;
 * everything else, lists above all, is asked of the store. A cache that fails is done without.
 */
export function withBlockCache(store: ObjectStore, options: BlockCacheOptions): ObjectStore {
  const { cache, bucket, context } = options;
  return {
    list: (listing) => store.list(listing),
    get: async (key, read = {}) => {
      const url = urlOf(bucket, key, read);
      if (url === undefined) return store.get(key, read);
      const kept = await cache.match(url).catch(() => undefined);
      const block = kept && (await toBlock(kept, read));
      if (block) return block;
      const stored = await store.get(key, read);
      if (stored) context.waitUntil(cache.put(url, toResponse(stored)).catch(() => undefined));
      return stored;
    },
    put: (key, body, writing) => store.put(key, body, writing),
    delete: (keys, deleting) => store.delete(keys, deleting),
  };
}

/** Undefined for a read whose answer may change, or is not worth keeping. */
function urlOf(bucket: string, key: string, { range, ifMatch }: GetOptions): string | undefined {
  if (!range || "suffix" in range || range.length > BLOCK_BYTES_MAX) return undefined;
  const content = ifMatch ?? (BASE.test(key) ? "base" : undefined);
  if (content === undefined) return undefined;
  const parts = [bucket, content, `${range.offset}+${range.length}`, key];
  return `${ORIGIN}/${parts.map(encodeURIComponent).join("/")}`;
}

function toResponse({ bytes, totalBytes, etag }: StoredBytes): Response {
  return new Response(bytes, {
    headers: {
      "cache-control": "public, max-age=31536000, immutable",
      "content-type": "application/octet-stream",
      "x-object-bytes": String(totalBytes),
      "x-object-etag": encodeURIComponent(etag),
    },
  });
}

/** What was kept, where it is all there. */
async function toBlock(kept: Response, { range }: GetOptions): Promise<StoredBytes | undefined> {
  const totalBytes = Number(kept.headers.get("x-object-bytes") ?? Number.NaN);
  const etag = decodeURIComponent(kept.headers.get("x-object-etag") ?? "") as Etag;
  const bytes = new Uint8Array(await kept.arrayBuffer());
  if (!range || "suffix" in range) return undefined;
  const length = Math.max(0, Math.min(range.length, totalBytes - range.offset));
  return bytes.length === length ? { bytes, totalBytes, etag, metadata: {} } : undefined;
}
