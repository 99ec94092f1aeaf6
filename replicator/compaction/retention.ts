import { isReplicaError, ReplicaError, throwIfAborted } from "../../shared/errors.ts";
import { LIST_PAGE_MAX, SNAPSHOT_LEVEL, STORE_REQUESTS_MAX } from "../../shared/limits.ts";
import { decodeHeader, LTX_HEADER_BYTES } from "../../shared/ltx/header.ts";
import { inParallel } from "../../shared/replica/in-parallel.ts";
import { listLtxFiles } from "../../shared/replica/list-ltx-files.ts";
import { formatOldestKey, type Replica } from "../../shared/replica/ltx-key.ts";
import { orphanStamps } from "./orphan-stamps.ts";
import type { StoredLtx } from "./store-ltx.ts";
import {
  countLevel0,
  level0DueMs,
  planLevel0Retention,
  planRetention,
  snapshotsDueMs,
  type Level0Counts,
  type RetainedFile,
  type RetentionPlan,
  type RetentionRules,
} from "./plan-retention.ts";

/** Litestream's defaults, in milliseconds. */
export const L0_RETENTION_MS = 300_000;
export const SNAPSHOT_RETENTION_MS = 86_400_000;
const CHECK_INTERVAL_MS = 15_000;
/** After a failure, or where nothing could be deleted, the store is left alone for so long. */
const RETRY_MS = 600_000;
/** As long after the store had said that deleting is not allowed. */
const REFUSED_RETRY_MS = 3_600_000;

export interface RetentionOptions {
  readonly replica: Replica;
  /** How long level 0 is kept, in milliseconds; `Infinity` keeps everything at every level. */
  readonly l0RetentionMs?: number | undefined;
  readonly snapshotRetentionMs?: number | undefined;
  /** So much lies between two looks at level 0 at least, in milliseconds. */
  readonly checkIntervalMs?: number | undefined;
  readonly now: () => number;
  /** Level 0 was looked at: so many of its oldest files were found, before anything is deleted. */
  readonly onLooked: (counts: Level0Counts) => void;
  readonly onDeleted: (files: readonly RetainedFile[]) => void;
  /** The store said that these were deleted, and still lists them. */
  readonly onLeft: (files: readonly RetainedFile[]) => void;
  /** The store does not allow it. Said once. */
  readonly onRefused: (error: ReplicaError) => void;
  readonly onFailed: (error: ReplicaError) => void;
}

/**
 * Deletes what `planRetention` says. It remembers what it has listed, and asks the store again only when
 * something there has become old enough.
 */
export class Retention {
  readonly #options: RetentionOptions;
  readonly #l0RetentionMs: number;
  readonly #snapshotRetentionMs: number;
  readonly #checkIntervalMs: number;
  /** The oldest files of level 0, as they were listed last; undefined before that. */
  #level0: readonly RetainedFile[] | undefined;
  /** Level 1, as it was listed, and what was written since. */
  #level1: RetainedFile[] | undefined;
  #level0DueMs: number;
  #fullDueMs: number;
  #isRefused = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#l0RetentionMs = options.l0RetentionMs ?? L0_RETENTION_MS;
    this.#snapshotRetentionMs = options.snapshotRetentionMs ?? SNAPSHOT_RETENTION_MS;
    this.#checkIntervalMs = options.checkIntervalMs ?? CHECK_INTERVAL_MS;
    const isUnlimited = this.#l0RetentionMs === Number.POSITIVE_INFINITY;
    const firstMs = isUnlimited ? this.#l0RetentionMs : options.now() + this.#checkIntervalMs;
    this.#level0DueMs = firstMs;
    this.#fullDueMs = firstMs;
  }

  /** When there may be something to delete, in milliseconds since the epoch; `Infinity` while there is not. */
  get dueMs(): number {
    return Math.min(this.#level0DueMs, this.#fullDueMs);
  }

  /** Forgets what it has listed. */
  forget(): void {
    this.#level0 = this.#level1 = undefined;
  }

  /** Says that a file above level 0 was written: it may replace others. */
  written(file: StoredLtx): void {
    const now = this.#options.now();
    if (!Number.isFinite(this.#l0RetentionMs)) return;
    if (file.level === SNAPSHOT_LEVEL) this.#fullDueMs = Math.min(this.#fullDueMs, now);
    if (file.level !== 1) return;
    this.#level1?.push({ ...file, createdAtMs: now });
    const dueMs = now + Math.max(this.#checkIntervalMs, this.#l0RetentionMs);
    this.#level0DueMs = Math.min(this.#level0DueMs, dueMs);
  }

  /** Deletes what has become old enough, if its time has come. */
  async runDue(signal: AbortSignal): Promise<void> {
    const now = this.#options.now();
    if (now < this.dueMs) return;
    try {
      if (now >= this.#fullDueMs) await this.#enforceAll(signal);
      else await this.#enforceLevel0(signal);
    } catch (error) {
      if (!isReplicaError(error) || isReplicaError(error, "WRITER_CONFLICT")) throw error;
      if (!signal.aborted) this.#fail(error);
    }
  }

  /** Deletes whatever is old enough now. */
  async enforceNow(signal: AbortSignal): Promise<void> {
    if (!Number.isFinite(this.#l0RetentionMs)) return;
    try {
      await this.#enforceAll(signal);
    } catch (error) {
      if (!isReplicaError(error, "STORE_DENIED")) throw error;
      this.#fail(error);
    }
  }

  #fail(error: ReplicaError): void {
    const { now, onRefused, onFailed } = this.#options;
    const isRefused = error.code === "STORE_DENIED";
    this.#level0 = this.#level1 = undefined;
    this.#level0DueMs = this.#fullDueMs = now() + (isRefused ? REFUSED_RETRY_MS : RETRY_MS);
    if (!isRefused) onFailed(error);
    else if (!this.#isRefused) onRefused(error);
    this.#isRefused = isRefused;
  }

  get #rules(): RetentionRules {
    return {
      nowMs: this.#options.now(),
      l0RetentionMs: this.#l0RetentionMs,
      snapshotRetentionMs: this.#snapshotRetentionMs,
    };
  }

  async #enforceLevel0(signal: AbortSignal): Promise<void> {
    const level1 = (this.#level1 ??= await this.#list(1, signal));
    const planFor = (level0: readonly RetainedFile[]) =>
      planLevel0Retention([...level0, ...level1], this.#rules);
    let plan = planFor((this.#level0 ??= await this.#listOldest(signal)));
    if (plan.remove.length === 0 && this.#isBeyondLevel0()) {
      plan = planFor((this.#level0 = await this.#listOldest(signal)));
    }
    this.#options.onLooked(countLevel0([...this.#level0, ...level1], this.#rules));
    const left = await this.#apply(plan, signal);
    const [oldest] = this.#level0;
    this.#level1 = level1.filter(({ maxTxid }) => oldest && maxTxid >= oldest.minTxid);
    this.#scheduleLevel0(left);
  }

  async #enforceAll(signal: AbortSignal): Promise<void> {
    const upper: RetainedFile[] = [];
    for (let level = SNAPSHOT_LEVEL; level > 1; level--) {
      upper.push(...(await this.#list(level, signal)));
    }
    this.#level1 = await this.#list(1, signal);
    this.#level0 = await this.#listOldest(signal);
    // Level 0 is listed a part at a time: each pass removes some of it, or is the last.
    for (;;) {
      const files = [...this.#level0, ...this.#level1, ...upper];
      const plan = planRetention(files, this.#rules);
      this.#options.onLooked(countLevel0(files, this.#rules));
      const left = await this.#apply(plan, signal);
      const isMore = plan.remove.some(({ level }) => level === 0) && left.length === 0;
      if (isMore && this.#level0.length === LIST_PAGE_MAX) continue;
      const removed = new Set(plan.remove);
      const kept = files.filter((file) => !removed.has(file));
      this.#level1 = kept.filter(({ level }) => level === 1);
      this.#fullDueMs = snapshotsDueMs(kept, this.#rules) ?? Number.POSITIVE_INFINITY;
      if (left.length > 0) this.#fullDueMs = this.#options.now() + RETRY_MS;
      const orphans = await orphanStamps(this.#options.replica, kept, signal);
      if (orphans.length > 0) await this.#options.replica.store.delete(orphans, { signal });
      return this.#scheduleLevel0(left);
    }
  }

  #scheduleLevel0(left: readonly RetainedFile[]): void {
    const now = this.#options.now();
    const known = [...(this.#level0 ?? []), ...(this.#level1 ?? [])];
    const dueMs = level0DueMs(known, this.#l0RetentionMs);
    const laterMs = this.#isBeyondLevel0() ? now + RETRY_MS : Number.POSITIVE_INFINITY;
    const soonestMs = now + (left.length > 0 ? RETRY_MS : this.#checkIntervalMs);
    this.#level0DueMs = Math.max(soonestMs, dueMs ?? laterMs);
  }

  /** Says whether level 1 reaches further than what is remembered of level 0. */
  #isBeyondLevel0(): boolean {
    const last = this.#level0?.at(-1)?.maxTxid ?? 0n;
    return (this.#level1 ?? []).some(({ maxTxid }) => maxTxid > last);
  }

  /** Answers what is still there although the store took its deletion. */
  async #apply({ remove, replacements }: RetentionPlan, signal: AbortSignal) {
    if (remove.length === 0) return [];
    const { replica, onDeleted, onLeft } = this.#options;
    await inParallel(replacements, STORE_REQUESTS_MAX, (file) => this.#prove(file, signal));
    // From below: whatever is left when this is interrupted is more than is needed.
    const ordered = remove.toSorted((a, b) => a.level - b.level || Number(a.maxTxid - b.maxTxid));
    const beside = replica.layout === "folder" ? ordered.filter(({ level }) => level > 0) : [];
    for (let index = 0; index < ordered.length; index += LIST_PAGE_MAX) {
      const keys = ordered.slice(index, index + LIST_PAGE_MAX).map(({ key }) => key);
      await replica.store.delete(keys, { signal });
    }
    const besideKeys = beside.map((file) => formatOldestKey(replica, file));
    if (besideKeys.length > 0) await replica.store.delete(besideKeys, { signal });
    const left = await this.#listLeft(ordered, signal);
    this.#isRefused = false;
    onDeleted(ordered.filter((file) => !left.includes(file)));
    if (left.length > 0) onLeft(left);
    return left;
  }

  /** R2 was reported to confirm deletions that did not happen. */
  async #listLeft(removed: readonly RetainedFile[], signal: AbortSignal): Promise<RetainedFile[]> {
    const found = new Set<string>();
    for (const level of new Set(removed.map((file) => file.level))) {
      const files = await (level === 0 ? this.#listOldest(signal) : this.#list(level, signal));
      if (level === 0) this.#level0 = files;
      for (const { key } of files) found.add(key);
    }
    return removed.filter(({ key }) => found.has(key));
  }

  /** @throws {ReplicaError} `OBJECT_MISSING` when the file that replaces others is not in the store as it should be. */
  async #prove({ key, minTxid, maxTxid, sizeBytes }: RetainedFile, signal: AbortSignal) {
    throwIfAborted(signal);
    const range = { offset: 0, length: LTX_HEADER_BYTES };
    const found = await this.#options.replica.store.get(key, { range, signal });
    const header = found && decodeHeader(found.bytes);
    const isThere = header?.minTxid === minTxid && header.maxTxid === maxTxid;
    if (isThere && found?.totalBytes === sizeBytes) return;
    throw new ReplicaError(
      "OBJECT_MISSING",
      `nothing was deleted, because "${key}", which was to replace it, is not in the store as it was written`,
    );
  }

  async #list(level: number, signal: AbortSignal): Promise<RetainedFile[]> {
    return await Array.fromAsync(listLtxFiles(this.#options.replica, { level, signal }));
  }

  /** The first page of level 0: what may go stands there. */
  async #listOldest(signal: AbortSignal): Promise<RetainedFile[]> {
    const files: RetainedFile[] = [];
    for await (const file of listLtxFiles(this.#options.replica, { level: 0, signal })) {
      files.push(file);
      if (files.length === LIST_PAGE_MAX) break;
    }
    return files;
  }
}
