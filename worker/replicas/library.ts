import type { Txid } from "../../shared/ltx/txid.ts";
import type { StampCache } from "../../shared/replica/file-stamps.ts";
import { IndexWindows } from "../../shared/replica/index-windows.ts";
import { loadPlan } from "../../shared/replica/load-plan.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import { fileIdentity, openLtxFile, type LtxFile } from "../../shared/replica/ltx-file.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { PageCache } from "../../shared/replica/page-cache.ts";
import type { RestorePlan, RestoreTarget } from "../../shared/replica/restore-plan.ts";
import { openPlan, type Snapshot } from "../../shared/replica/snapshot.ts";
import { BoundedMap } from "./bounded-map.ts";
import { followHead, planAnew, type Head } from "./follow-head.ts";
import { identifyPlan, isSamePlan } from "./plan-identity.ts";

const HEADS_MAX = 256;
/** Page maps, 12 bytes a page, in bytes of the isolate's 128 MB; the one in use is always kept. */
const PAGE_MAP_BYTES_MAX = 8_000_000;
/** Page indexes of opened LTX files, in bytes: a new TXID then opens only the file that is new. */
const INDEX_BYTES_MAX = 6_000_000;
/** Parts of longer page indexes, in bytes. */
const WINDOW_BYTES_MAX = 4_000_000;
/** What an entry costs beside its bytes, about. */
const ENTRY_BYTES = 1_000;

/** A database at one transaction, ready to be read. */
export interface OpenedSnapshot {
  readonly snapshot: Snapshot;
  /** Names its content; see `identifyPlan`. */
  readonly identity: string;
  /** When the bucket was asked for the plan, in milliseconds since the epoch. */
  readonly checkedAtMs: number;
}

export interface LookOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface HeadOptions extends LookOptions {
  /** A head that was checked longer ago is checked again. */
  readonly maxStaleMs: number;
}

/**
 * What one isolate knows of the replicas that it has been asked for: newest transactions, opened
 * snapshots and pages. All are values that any request may find or lose; requests never wait for
 * one another, so two that come at once may both do the work.
 */
export class Library {
  readonly pages: PageCache;
  readonly #now: () => number;
  readonly #heads = new BoundedMap<string, Head>({ max: HEADS_MAX });
  readonly #stamps: StampCache = new Map();
  readonly #snapshots = new BoundedMap<string, OpenedSnapshot>({
    max: PAGE_MAP_BYTES_MAX,
    weigh: ({ snapshot }) => snapshot.pages.sizeBytes + ENTRY_BYTES,
  });
  readonly #windows = new IndexWindows({ bytesMax: WINDOW_BYTES_MAX });
  readonly #files = new BoundedMap<string, LtxFile>({
    max: INDEX_BYTES_MAX,
    weigh: ({ index }) => (index?.length ?? 0) + ENTRY_BYTES,
  });

  constructor({ pageBytesMax, now }: { pageBytesMax: number; now: () => number }) {
    this.pages = new PageCache({ bytesMax: pageBytesMax });
    this.#now = now;
  }

  /** The head as it is known, however old; undefined when nobody has asked yet. */
  knownHead(replica: Replica): Head | undefined {
    return this.#heads.get(replica.path);
  }

  /** The newest transaction, as of at most `maxStaleMs` ago. */
  async head(replica: Replica, { maxStaleMs, signal }: HeadOptions): Promise<Head> {
    const nowMs = this.#now();
    const known = this.#heads.get(replica.path);
    if (known && maxStaleMs > 0 && nowMs - known.checkedAtMs <= maxStaleMs) return known;
    const files = { signal, cache: this.pages };
    const prefetch = async (info: LtxFileInfo) =>
      this.#files.set(fileIdentity(info), await openLtxFile(replica, info, files));
    const look = { nowMs, signal, prefetch };
    const found = await (known ? followHead(replica, known, look) : planAnew(replica, look));
    // Another request may have looked meanwhile; the look that began last has the last word.
    const other = this.#heads.get(replica.path);
    const isOlder = other && other !== known && other.checkedAtMs >= nowMs;
    if (!isOlder || found.plan.txid > other.plan.txid) this.#heads.set(replica.path, found);
    return found;
  }

  /** The snapshot that a plan leads to, opened once and kept for a while. */
  async open(
    replica: Replica,
    plan: RestorePlan,
    look: LookOptions & { readonly checkedAtMs: number },
  ): Promise<OpenedSnapshot> {
    const key = snapshotKey(replica, plan.txid);
    const known = this.#snapshots.get(key);
    if (known && isSamePlan(known.snapshot.plan, plan)) return readThrough(known, replica);
    const { checkedAtMs, signal } = look;
    const [snapshot, identity] = await Promise.all([
      openPlan(replica, plan, {
        signal,
        cache: this.pages,
        files: this.#files,
        windows: this.#windows,
      }),
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
    if (cut) return this.open(replica, cut, { ...look, checkedAtMs: head.checkedAtMs });
    const checkedAtMs = this.#now();
    const plan = await loadPlan(replica, { kind: "txid", txid }, look);
    return this.open(replica, plan, { ...look, checkedAtMs });
  }

  /** The database at a moment: always planned, as what a moment leads to may change. */
  async openTime(
    replica: Replica,
    target: RestoreTarget & { readonly kind: "time" },
    { signal }: LookOptions,
  ): Promise<OpenedSnapshot & { readonly exact: boolean }> {
    const checkedAtMs = this.#now();
    const plan = await loadPlan(replica, target, { signal, stamps: this.#stamps });
    const opened = await this.open(replica, plan, { checkedAtMs, signal });
    return { ...opened, checkedAtMs, exact: plan.exact };
  }

  /** Keeps a snapshot that a reader has planned anew, because files of the one before had gone. */
  async keep(replica: Replica, snapshot: Snapshot): Promise<void> {
    const identity = await identifyPlan(snapshot.plan);
    const { plan, txid } = snapshot;
    const opened = { snapshot, identity, checkedAtMs: this.#now() };
    this.#snapshots.set(snapshotKey(replica, txid), opened);
    const head = this.knownHead(replica);
    if (head?.plan.txid === txid) this.#heads.set(replica.path, { ...head, plan });
  }

  /** Forgets what is known of a replica some of whose files have gone: the next to ask plans anew. */
  forget(replica: Replica): void {
    this.#heads.delete(replica.path);
    const prefix = snapshotKey(replica, "");
    for (const key of this.#snapshots.keys()) {
      if (key.startsWith(prefix)) this.#snapshots.delete(key);
    }
  }
}

/** The plan of an earlier TXID where a file of `plan` ends with it: what comes before leads there. */
function cutPlan(plan: RestorePlan, txid: Txid): RestorePlan | undefined {
  const end = plan.files.findIndex(({ maxTxid }) => maxTxid === txid);
  return end < 0 ? undefined : { files: plan.files.slice(0, end + 1), txid, exact: true };
}

/** A snapshot that another request has opened, for a request with a store of its own. */
function readThrough(opened: OpenedSnapshot, replica: Replica): OpenedSnapshot {
  return { ...opened, snapshot: { ...opened.snapshot, replica } };
}

function snapshotKey(replica: Replica, txid: Txid | ""): string {
  return `${replica.path}@${txid}`;
}
