/** Whether an edge bundle describes what is in the bucket, and what has come after it. */
import { isReplicaError } from "../../shared/errors.ts";
import { SNAPSHOT_LEVEL, STORE_REQUESTS_MAX } from "../../shared/limits.ts";
import { toTxid } from "../../shared/ltx/txid.ts";
import { checkIdentity, withEtag } from "../../shared/replica/edge-bundle/check-identity.ts";
import type { BundleHead } from "../../shared/replica/edge-bundle/read-bundle-head.ts";
import { inParallel } from "../../shared/replica/in-parallel.ts";
import { listLtxFiles, toLtxFile, type LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { formatLevelPrefix, type Replica } from "../../shared/replica/ltx-key.ts";
import { planRestore } from "../../shared/replica/restore-plan.ts";
import type { Etag, ListPage } from "../../shared/storage/object-store.ts";

/** So many files of level 0 behind a bundle are read as they are: compacted ones hold more than is new. */
const SINGLE_FILES_MAX = 24;
/** More files behind a bundle than these are no gain over a plan without it. */
const NEWER_FILES_MAX = 64;

/** What a look at the bucket says of a bundle. */
export type BundleVerdict =
  /** The bundle as the objects are called here, and the files that lead on from it, oldest first. */
  | { readonly bundle: BundleHead; readonly newer: readonly LtxFileInfo[] }
  /** It is not to be used, and why: for logs. */
  | { readonly bundle?: undefined; readonly reason: string };

/** What is known of the bucket's LTX files. */
interface Listing {
  readonly files: readonly LtxFileInfo[];
  /** All levels were listed. */
  readonly isWhole: boolean;
}

/**
 * Holds a bundle against a listing: level 0 must go on to its TXID or beyond, as retention never empties
 * it, and the objects that it names must be those that are there. A bundle of another history, of a path
 * that was wiped and began anew, fails one or the other: the TXIDs it cannot be told by.
 *
 * The listing may have been made at the same time as the bundle was read, so what it lacks is asked for.
 *
 * @param page The first page of the keys of the replica.
 */
export async function checkBundle(
  replica: Replica,
  bundle: BundleHead,
  page: ListPage,
  signal: AbortSignal | undefined,
): Promise<BundleVerdict> {
  const listing = await listTail(replica, bundle, page, signal);
  const isReached = listing.files.some(
    ({ level, maxTxid }) => level === 0 && maxTxid >= bundle.txid,
  );
  if (!isReached) return { reason: "level 0 does not go on to the bundle's TXID" };
  const newer = chooseNewer(bundle, listing);
  if (!newer) return { reason: "the files behind the bundle are many, or have a gap" };
  const identified = await identify(replica, bundle, listing, signal);
  return identified.bundle ? { ...identified, newer } : identified;
}

/** The files of the page; where it ends before the bundle's TXID, or was made before, those from there on too. */
async function listTail(
  replica: Replica,
  { txid }: BundleHead,
  page: ListPage,
  signal: AbortSignal | undefined,
): Promise<Listing> {
  const files = page.objects.map((object) => toLtxFile(replica, object));
  const known = files.filter((file) => file !== undefined);
  const isWhole = page.cursor === undefined;
  const last = page.objects.at(-1)?.key ?? "";
  const hasLevel0 = isWhole || last >= formatLevelPrefix(replica, 1);
  const isReached = known.some(({ level, maxTxid }) => level === 0 && maxTxid >= txid);
  if (hasLevel0 && isReached) return { files: known, isWhole };
  const keys = new Set(known.map(({ key }) => key));
  const tail: LtxFileInfo[] = [];
  for await (const file of listLtxFiles(replica, { level: 0, seek: txid, signal })) {
    if (!keys.has(file.key)) tail.push(file);
    if (tail.length > NEWER_FILES_MAX + 1) break;
  }
  return { files: [...known, ...tail], isWhole };
}

/** The files that lead on from the bundle; undefined where they cannot, or are too many. */
function chooseNewer(
  { txid, timestampMs }: BundleHead,
  { files, isWhole }: Listing,
): readonly LtxFileInfo[] | undefined {
  const single = files.filter(({ level, minTxid }) => level === 0 && minTxid > txid);
  const isGapless = single.every(({ minTxid }, index) => minTxid === txid + BigInt(index) + 1n);
  const singleMax = isWhole ? SINGLE_FILES_MAX : NEWER_FILES_MAX;
  if (isGapless && single.length <= singleMax) return single;
  if (!isWhole) return undefined;
  // As if the bundle were a snapshot: the planner finds the shortest way on from it.
  const stands = { key: "", etag: "" as Etag, sizeBytes: 0, createdAtMs: timestampMs };
  const base = { level: SNAPSHOT_LEVEL, minTxid: toTxid(1n), maxTxid: txid, ...stands };
  const beyond = files.filter(({ level, maxTxid }) => level !== SNAPSHOT_LEVEL && maxTxid > txid);
  try {
    const newer = planRestore([base, ...beyond], { kind: "latest" }).files.slice(1);
    return newer.length <= NEWER_FILES_MAX ? newer : undefined;
  } catch (error) {
    if (!isReplicaError(error, "REPLICA_GAP")) throw error;
    return undefined;
  }
}

/** One of the files that a bundle names. */
interface NamedFile {
  /** Index in the bundle's files. */
  readonly file: number;
  readonly key: string;
}

/**
 * The bundle with its files as the bucket calls them. What was listed with the recorded ETag is the same
 * object; what was listed with another, or not at all, shows by its last bytes what it is.
 */
export async function identify(
  replica: Replica,
  bundle: BundleHead,
  { files, isWhole }: Listing,
  signal: AbortSignal | undefined,
): Promise<BundleVerdict> {
  const listed = new Map(files.map(({ key, etag }) => [key, etag]));
  const named = bundle.plan.files.map(({ key, etag }, file) => ({ file, key, etag }));
  const unseen = named.filter(({ key, etag }) => listed.get(key) !== etag);
  const isCopy = unseen.some(({ key }) => listed.has(key));
  if (isWhole || isCopy) return askEach(replica, bundle, unseen, signal);
  // Of what was not listed one object is enough: where it has its ETag, so have the others.
  if (unseen.length < named.length) return { bundle, newer: [] };
  const one = await askEach(replica, bundle, unseen.slice(-1), signal);
  if (one.bundle === bundle || !one.bundle) return one;
  return askEach(replica, one.bundle, unseen.slice(0, -1), signal);
}

async function askEach(
  replica: Replica,
  bundle: BundleHead,
  named: readonly NamedFile[],
  signal: AbortSignal | undefined,
): Promise<BundleVerdict> {
  const identities = await inParallel(named, STORE_REQUESTS_MAX, ({ file }) =>
    checkIdentity(replica, bundle.files[file], { signal }),
  );
  let copy = bundle;
  for (const [index, identity] of identities.entries()) {
    const { file, key } = named[index];
    if (identity.kind === "gone") return { reason: `"${key}" is gone` };
    if (identity.kind === "other") return { reason: `"${key}" is of another history` };
    if (identity.kind === "copy") copy = withEtag(copy, replica, { file, etag: identity.etag });
  }
  return { bundle: copy, newer: [] };
}
