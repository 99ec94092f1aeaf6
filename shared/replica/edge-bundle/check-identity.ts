/** Whether the objects beside a bundle are those that it describes. */
import { isReplicaError } from "../../errors.ts";
import { decodeTrailer, LTX_TRAILER_BYTES } from "../../ltx/trailer.ts";
import type { Etag } from "../../storage/object-store.ts";
import { formatLtxKey, type Replica } from "../ltx-key.ts";
import type { BundleFile } from "./bundle-format.ts";
import { toFileInfo, type BundleHead } from "./read-bundle-head.ts";

/**
 * What a look at an object tells. `copy`: the same content under another ETag, as in another store; what
 * is damaged in it is an error, and no reason to do without the bundle. `other`: another history.
 */
export type Identity =
  | { readonly kind: "same" }
  | { readonly kind: "copy"; readonly etag: Etag }
  | { readonly kind: "other" }
  | { readonly kind: "gone" };

export interface CheckIdentityOptions {
  /** What the store called the object in an answer that is at hand: no read where it is the bundle's. */
  readonly seen?: Etag | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Tells whether the object under a file's key is the one that a bundle describes. The same ETag says so;
 * with another one, or none at hand, the object's last 16 bytes do, and those take one read.
 *
 * @throws {ReplicaError} What the store throws.
 */
export async function checkIdentity(
  replica: Replica,
  file: BundleFile,
  { seen, signal }: CheckIdentityOptions = {},
): Promise<Identity> {
  if (seen === file.etag) return { kind: "same" };
  const key = formatLtxKey(replica, file);
  const range = { suffix: LTX_TRAILER_BYTES };
  const stored = await replica.store.get(key, { range, signal });
  if (!stored) return { kind: "gone" };
  const { bytes, etag, totalBytes } = stored;
  if (etag === file.etag) return { kind: "same" };
  if (totalBytes !== file.sizeBytes || checksumOf(bytes) !== file.fileChecksum) {
    return { kind: "other" };
  }
  return { kind: "copy", etag };
}

/** Undefined for what is no trailer of an LTX file. */
function checksumOf(trailer: Uint8Array): bigint | undefined {
  try {
    return decodeTrailer(trailer).fileChecksum;
  } catch (error) {
    if (!isReplicaError(error, "CORRUPT_PAGE")) throw error;
    return undefined;
  }
}

/** The bundle, with what the store calls one of its files: for a copy. The locator is the same. */
export function withEtag(
  head: BundleHead,
  replica: Pick<Replica, "path" | "layout">,
  { file, etag }: { readonly file: number; readonly etag: Etag },
): BundleHead {
  const files = head.files.map((each, index) => (index === file ? { ...each, etag } : each));
  const infos = files.map((each) => toFileInfo(replica, each));
  return { ...head, files, plan: { ...head.plan, files: infos } };
}
