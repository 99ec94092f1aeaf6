import type { Txid } from "../../shared/ltx/txid.ts";
import { LocationCache } from "../../shared/replica/edge-bundle/location-cache.ts";
import { snapshotOf, type BundleHead } from "../../shared/replica/edge-bundle/read-bundle-head.ts";
import type { StampCache } from "../../shared/replica/file-stamps.ts";
import { IndexWindows } from "../../shared/replica/index-windows.ts";
import type { LtxFile } from "../../shared/replica/ltx-file.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { PageCache } from "../../shared/replica/page-cache.ts";
import type { RestorePlan, RestoreTarget } from "../../shared/replica/restore-plan.ts";
import { asSameHistory, type Snapshot } from "../../shared/replica/snapshot.ts";
import type { Etag } from "../../shared/storage/object-store.ts";
import { BoundedMap } from "./bounded-map.ts";
import { chooseHead } from "./choose-head.ts";
import { lookCold, readBundle, type ColdLook } from "./cold-look.ts";
import { followHead, type Head } from "./follow-head.ts";
import { LooksUnderWay } from "./looks-under-way.ts";
import { openPlanned } from "./open-plan.ts";
import { weighFile, weighHead, weighSnapshot, type LibraryMemory } from "./library-memory.ts";
import {
  cutPlan,
  forgetSnapshots,
  readThrough,
  snapshotKey,
  type BegunSnapshot,
  type HeadOptions,
  type LookOptions,
  type OpenedSnapshot,
  type OpenOptions,
} from "./opened-snapshot.ts";
import { identifyPlan, isSamePlan } from "./plan-identity.ts";
import { planTarget, type PlanTargetOptions } from "./plan-target.ts";

/** Far more than there can be connections in the pool, or databases in use. */
const NAMES_MAX = 1_000;

/**
 * What one isolate knows of the replicas that it has been asked for: newest transactions, opened
 * snapshots and pages. All are values that any request may find or lose; no request waits for a promise
 * of another's, so two that come at once may both do the work.
 */
export class Library {
  readonly pages: PageCache;
  readonly #now: () => number;
  readonly #heads: BoundedMap<string, Head>;
  readonly #stamps: StampCache = new Map();
  readonly #snapshots: BoundedMap<string, OpenedSnapshot>;
  readonly #files: BoundedMap<string, LtxFile>;
  readonly #windows: IndexWindows;
  readonly #locations: LocationCache;
  readonly #looks = new LooksUnderWay();
  readonly #distrusted = new BoundedMap<string, Etag>({ max: NAMES_MAX });
  readonly #unverified = new BoundedMap<string, true>({ max: NAMES_MAX });

  constructor({ limits, now }: { limits: LibraryMemory; now: () => number }) {
    this.#now = now;
    this.pages = new PageCache({ bytesMax: limits.pages });
    this.#heads = new BoundedMap({ max: limits.heads, weigh: weighHead });
    this.#snapshots = new BoundedMap({
      max: limits.snapshots,
      weigh: ({ snapshot }) => weighSnapshot(snapshot),
    });
    this.#files = new BoundedMap({ max: limits.indexes, weigh: weighFile });
    this.#windows = new IndexWindows({ bytesMax: limits.windows });
    this.#locations = new LocationCache({ bytesMax: limits.locations });
  }

  /** What it takes now, in bytes. */
  memory(): LibraryMemory {
    return {
      pages: this.pages.bytes,
      heads: this.#heads.weight,
      snapshots: this.#snapshots.weight,
      indexes: this.#files.weight,
      windows: this.#windows.bytes,
      locations: this.#locations.sizeBytes,
    };
  }

  /**
   * Says whether a page that nothing verified was ever given to a connection of this source: it may be
   * in that connection's own cache, and in answers that read no page anew.
   */
  isUnverified(sourceKey: string): boolean {
    return this.#unverified.get(sourceKey) ?? false;
  }

  markUnverified(sourceKey: string): void {
    this.#unverified.set(sourceKey, true);
  }

  /** The head as it is known, however old; undefined when nobody has asked yet. */
  knownHead(replica: Replica): Head | undefined {
    return this.#heads.get(replica.path);
  }

  /** The edge bundle that is in the bucket now; undefined where there is none that can be used. */
  readBundle(replica: Replica, { signal }: LookOptions): Promise<BundleHead | undefined> {
    return readBundle(replica, this.#bundleOptions(replica, signal));
  }

  /** The newest transaction, as of at most `maxStaleMs` ago. */
  async head(replica: Replica, { maxStaleMs, signal }: HeadOptions): Promise<Head> {
    const fresh = this.#freshHead(replica, maxStaleMs);
    if (fresh) return fresh;
    // A look that began before this request is none that `maxStaleMs=0` asks for.
    const mayWait = maxStaleMs > 0 || !this.knownHead(replica);
    if (mayWait && this.#looks.has(replica.path)) {
      await this.#looks.wait(replica.path, signal);
      const found = this.#freshHead(replica, maxStaleMs);
      if (found) return found;
    }
    const done = this.#looks.begin(replica.path);
    try {
      const look = { nowMs: this.#now(), signal, cache: this.pages, files: this.#files };
      const known = this.knownHead(replica);
      const followed = known && (await followHead(replica, known, look));
      const found = followed ?? (await (await this.#look(replica, look)).head);
      return this.#keepHead(replica, known, found);
    } finally {
      done();
    }
  }

  /** The newest state, opened; where nothing is known yet and a bundle is there, the bundle's to begin with. */
  async begin(replica: Replica, options: HeadOptions): Promise<BegunSnapshot> {
    const { signal } = options;
    if (!this.knownHead(replica) && this.#looks.has(replica.path)) {
      await this.#looks.wait(replica.path, signal);
    }
    if (this.knownHead(replica)) return { opened: await this.#openHead(replica, options) };
    const done = this.#looks.begin(replica.path);
    const nowMs = this.#now();
    let look: ColdLook;
    try {
      look = await this.#look(replica, { nowMs, signal });
    } catch (error) {
      done();
      throw error;
    }
    const settled = this.#settle(replica, look, signal).finally(done);
    if (!look.bundle) return { opened: await settled };
    settled.catch(() => undefined);
    // Kept only when it has turned out to be what is there.
    const snapshot = snapshotOf(replica, look.bundle);
    const identity = await identifyPlan(snapshot.plan);
    return { opened: { snapshot, identity, checkedAtMs: nowMs }, settled };
  }

  /** The snapshot that a plan leads to, opened once and kept for a while. */
  async open(
    replica: Replica,
    plan: RestorePlan,
    { checkedAtMs, bundle, signal }: OpenOptions,
  ): Promise<OpenedSnapshot> {
    const key = snapshotKey(replica, plan.txid);
    const known = this.#snapshots.get(key);
    if (known && isSamePlan(known.snapshot.plan, plan)) return readThrough(known, replica);
    const options = { signal, cache: this.pages, files: this.#files, windows: this.#windows };
    const [snapshot, identity] = await Promise.all([
      openPlanned(replica, plan, bundle, options),
      identifyPlan(plan),
    ]);
    const opened: OpenedSnapshot = { snapshot, identity, checkedAtMs };
    this.#snapshots.set(key, opened);
    return opened;
  }

  /** The database at one transaction: from memory where it is there, else planned anew. */
  async openTxid(replica: Replica, txid: Txid, look: LookOptions): Promise<OpenedSnapshot> {
    const known = this.#snapshots.get(snapshotKey(replica, txid));
    if (known) return readThrough(known, replica);
    const head = this.knownHead(replica);
    const cut = head && cutPlan(head.plan, txid);
    if (cut) return this.open(replica, cut, { ...head, ...look });
    return this.#openTarget(replica, { kind: "txid", txid }, look);
  }

  /** The database at a moment: always planned, as what a moment leads to may change. */
  async openTime(
    replica: Replica,
    target: RestoreTarget & { readonly kind: "time" },
    look: LookOptions,
  ): Promise<OpenedSnapshot & { readonly exact: boolean }> {
    const opened = await this.#openTarget(replica, target, look);
    return { ...opened, exact: opened.snapshot.plan.exact };
  }

  /**
   * Opens a snapshot's TXID again when an object that led to it has gone or is another: with the bundle
   * that is there now, so that what is damaged is told from what was replaced.
   *
   * @throws {ReplicaError} As `reopenSnapshot`.
   */
  async reopen(replica: Replica, snapshot: Snapshot, { signal }: LookOptions): Promise<Snapshot> {
    const { txid, pages } = snapshot;
    this.#snapshots.delete(snapshotKey(replica, txid));
    const bundle = pages.fault === undefined ? this.readBundle(replica, { signal }) : undefined;
    const opened = await this.#openWith(replica, { kind: "txid", txid }, bundle, signal);
    return asSameHistory(snapshot, opened.snapshot);
  }

  /** Keeps a snapshot that a reader has planned anew, because files of the one before had gone. */
  async keep(replica: Replica, snapshot: Snapshot): Promise<void> {
    const identity = await identifyPlan(snapshot.plan);
    const { plan, txid } = snapshot;
    const opened = { snapshot, identity, checkedAtMs: this.#now() };
    this.#snapshots.set(snapshotKey(replica, txid), opened);
    const head = this.knownHead(replica);
    if (head?.plan.txid === txid) {
      this.#heads.set(replica.path, { ...head, plan, bundle: undefined });
    }
  }

  /**
   * Forgets what is known of a replica some of whose files have gone: the next to ask looks at all of it.
   *
   * @param distrust Its bundle has been of no use before: not to be used until it is another.
   */
  forget(replica: Replica, { distrust }: { readonly distrust: boolean }): void {
    const bundle = this.knownHead(replica)?.bundle;
    const isUseless = distrust || bundle?.locator.fault !== undefined;
    if (bundle && isUseless) this.#distrusted.set(replica.path, bundle.etag);
    this.#heads.delete(replica.path);
    forgetSnapshots(this.#snapshots, replica);
  }

  #freshHead(replica: Replica, maxStaleMs: number): Head | undefined {
    const known = this.knownHead(replica);
    const isFresh = known && this.#now() - known.checkedAtMs <= maxStaleMs;
    return isFresh && maxStaleMs > 0 ? known : undefined;
  }

  #look(
    replica: Replica,
    { nowMs, signal }: LookOptions & { readonly nowMs: number },
  ): Promise<ColdLook> {
    return lookCold(replica, { ...this.#bundleOptions(replica, signal), nowMs });
  }

  #bundleOptions({ path }: Replica, signal: AbortSignal | undefined) {
    return { locations: this.#locations, distrusted: this.#distrusted.get(path), signal };
  }

  async #openHead(replica: Replica, options: HeadOptions): Promise<OpenedSnapshot> {
    const head = await this.head(replica, options);
    const opened = await this.open(replica, head.plan, { ...head, signal: options.signal });
    return { ...opened, checkedAtMs: head.checkedAtMs };
  }

  async #settle(
    replica: Replica,
    look: ColdLook,
    signal: AbortSignal | undefined,
  ): Promise<OpenedSnapshot> {
    const head = this.#keepHead(replica, undefined, await look.head);
    return this.open(replica, head.plan, { ...head, signal });
  }

  /** Plans, and asks beside that for the bundle, where nothing is known of the replica. */
  #openTarget(
    replica: Replica,
    target: RestoreTarget,
    { signal }: LookOptions,
  ): Promise<OpenedSnapshot> {
    const head = this.knownHead(replica);
    const bundle = head ? head.bundle : this.readBundle(replica, { signal });
    return this.#openWith(replica, target, bundle, signal);
  }

  async #openWith(
    replica: Replica,
    target: RestoreTarget,
    asked: PlanTargetOptions["asked"],
    signal: AbortSignal | undefined,
  ): Promise<OpenedSnapshot> {
    const checkedAtMs = this.#now();
    const options = { asked, signal, stamps: this.#stamps };
    const { plan, bundle } = await planTarget(replica, target, options);
    const opened = await this.open(replica, plan, { checkedAtMs, bundle, signal });
    return { ...opened, checkedAtMs };
  }

  #keepHead(replica: Replica, before: Head | undefined, found: Head): Head {
    const now = this.#heads.get(replica.path);
    const { answer, kept, isNewHistory } = chooseHead({ before, now }, found);
    if (isNewHistory) forgetSnapshots(this.#snapshots, replica);
    this.#heads.set(replica.path, kept);
    return answer;
  }
}
