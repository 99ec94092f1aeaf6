/** Brings the bundle of a replica to its newest TXID: for the command line, and for whoever replicates. */
import { isReplicaError } from "../../errors.ts";
import type { Txid } from "../../ltx/txid.ts";
import type { LtxFileInfo } from "../list-ltx-files.ts";
import { listAllFiles, refuseWithoutLtx } from "../load-plan.ts";
import type { Replica } from "../ltx-key.ts";
import { isBaseThere } from "./base-reader.ts";
import { buildBundle, type BuildOptions } from "./build-bundle.ts";
import type { BaseReference } from "./bundle-format.ts";
import { formatHeadKey } from "./bundle-keys.ts";
import type { BundleSink } from "./bundle-sink.ts";
import { chooseFiles } from "./choose-files.ts";
import { decodeHead, deltaSizeBytes, encodeHead, type HeadContent } from "./head-format.ts";
import {
  isNewBaseDue,
  planBundleUpdate,
  planNewBase,
  type BundleUpdate,
} from "./plan-bundle-update.ts";
import { refreshHead } from "./refresh-head.ts";

export interface UpdateBundleOptions extends Omit<BuildOptions, "onBytes"> {
  /** The head that is there, from `readStoredHead`; read from the store when left out. */
  readonly head?: HeadContent | undefined;
  /**
   * The replica's LTX files, all levels, without those that are about to be deleted; listed when left
   * out.
   */
  readonly files?: readonly LtxFileInfo[] | undefined;
  /** Build all of it from the LTX files, whatever is there. */
  readonly fromScratch?: boolean | undefined;
  /** Called as bytes of LTX files were read. */
  readonly onProgress?: ((progress: UpdateProgress) => void) | undefined;
}

export interface UpdateProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** What was done, and what the bundle is now. */
export interface BundleReport {
  readonly kind: BundleUpdate["kind"];
  readonly txid: Txid;
  readonly headBytes: number;
  readonly deltaBytes: number;
  readonly base: BaseReference;
  /** That of the head that was there before, where there was one. */
  readonly previousBase?: BaseReference | undefined;
  readonly content: HeadContent;
}

/**
 * Brings a bundle to the newest TXID with as little work as it takes: nothing, a new head, a new base
 * over the old one, or all of it from the LTX files. Begins again, once, when a file goes meanwhile; not
 * where the files were given, as whoever lists them has to list anew.
 *
 * The base is written before the head that names it. Who else writes bundles of this replica is kept
 * away by the caller, as from the replica itself.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, naming the object, when an LTX file is damaged; what planning
 *   and the store throw; `ABORTED`.
 */
export async function updateBundle(
  replica: Replica,
  sink: BundleSink,
  options: UpdateBundleOptions = {},
): Promise<BundleReport> {
  try {
    return await updateOnce(replica, sink, options);
  } catch (error) {
    if (!isReplicaError(error, "OBJECT_MISSING") || options.files) throw error;
    return await updateOnce(replica, sink, options);
  }
}

/** The head beside a replica; undefined where there is none, or none that can be used. */
export async function readStoredHead(
  replica: Replica,
  signal?: AbortSignal,
): Promise<HeadContent | undefined> {
  const stored = await replica.store.get(formatHeadKey(replica), { signal });
  return stored && decodeHead(stored.bytes).content;
}

async function updateOnce(
  replica: Replica,
  sink: BundleSink,
  options: UpdateBundleOptions,
): Promise<BundleReport> {
  const { fromScratch = false, signal } = options;
  const files = options.files ?? (await listAllFiles(replica, signal));
  if (files.length === 0) await refuseWithoutLtx(replica, signal);
  const head = options.head ?? (await readStoredHead(replica, signal));
  // Everybody may delete a base at any time: whoever goes on with one makes sure that it is there.
  const isUsable = head && !fromScratch && (await isBaseThere(replica, head.base, signal));
  const update = planBundleUpdate(files, isUsable ? head : undefined);
  const report = await carryOut(replica, sink, { files, head, update, options });
  return { ...report, previousBase: head?.base };
}

async function carryOut(
  replica: Replica,
  sink: BundleSink,
  { files, head, update, options }: Omit<Step, "head"> & { readonly head: HeadContent | undefined },
): Promise<BundleReport> {
  if (!head || update.kind === "build") return build(replica, sink, files, options);
  try {
    return await followOld(replica, sink, { files, head, update, options });
  } catch (error) {
    // The old bundle is damaged, or a file is: a build over everything tells which.
    if (!isReplicaError(error, "CORRUPT_PAGE")) throw error;
    return build(replica, sink, files, options);
  }
}

interface Step {
  readonly files: readonly LtxFileInfo[];
  readonly head: HeadContent;
  readonly update: BundleUpdate;
  readonly options: UpdateBundleOptions;
}

async function followOld(
  replica: Replica,
  sink: BundleSink,
  { files, head, update, options }: Step,
): Promise<BundleReport> {
  if (update.kind === "none") return reportOf("none", head);
  const { hotBytesMax, signal } = options;
  if (update.kind === "head") {
    const { chain } = update;
    const onBytes = progress(chain, options);
    const fresh = await refreshHead(replica, { old: head, chain, hotBytesMax, onBytes, signal });
    if (!isNewBaseDue(files, fresh, deltaSizeBytes(fresh.delta))) return put(sink, "head", fresh);
  }
  const next = update.kind === "base" ? update : planNewBase(files, head);
  if (next.kind !== "base") return build(replica, sink, files, options);
  const { chosen, chain } = next;
  const onBytes = progress([...chain, ...chosen.delta], options);
  const older = { head, chain };
  const settings = { hotBytesMax, older, onBytes, signal };
  return put(sink, "base", await buildBundle(replica, chosen, sink, settings));
}

async function build(
  replica: Replica,
  sink: BundleSink,
  files: readonly LtxFileInfo[],
  options: UpdateBundleOptions,
): Promise<BundleReport> {
  const { hotBytesMax, signal } = options;
  const chosen = chooseFiles(files);
  const onBytes = progress([...chosen.base, ...chosen.delta], options);
  const settings = { hotBytesMax, onBytes, signal };
  return put(sink, "build", await buildBundle(replica, chosen, sink, settings));
}

async function put(
  sink: BundleSink,
  kind: BundleUpdate["kind"],
  content: HeadContent,
): Promise<BundleReport> {
  await sink.head(encodeHead(content));
  return reportOf(kind, content);
}

function reportOf(kind: BundleUpdate["kind"], content: HeadContent): BundleReport {
  const { txid, base, delta } = content;
  const headBytes = encodeHead(content).length;
  return { kind, txid, headBytes, deltaBytes: deltaSizeBytes(delta), base, content };
}

function progress(
  files: readonly LtxFileInfo[],
  { onProgress }: UpdateBundleOptions,
): ((bytes: number) => void) | undefined {
  if (!onProgress) return undefined;
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  let doneBytes = 0;
  return (bytes) => {
    doneBytes += bytes;
    onProgress({ doneBytes, totalBytes });
  };
}
