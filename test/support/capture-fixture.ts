/** The replicator's core on a live database, step by step: what `Replication` does, without its loop. */
import { readFileSync } from "node:fs";
import { SourceDatabase } from "../../replicator/source/source-database.ts";
import type { ReplicationEvent } from "../../replicator/sync/events.ts";
import { PageMemory } from "../../replicator/sync/page-memory.ts";
import { findResumePoint, reconcile } from "../../replicator/sync/reconcile.ts";
import { Staging, type StagedFile } from "../../replicator/sync/staging.ts";
import { WalCapture } from "../../replicator/sync/wal-capture.ts";
import { compactLtx } from "../../shared/ltx/compactor.ts";
import { decodeLtx, type LtxPage, type LtxSummary } from "../../shared/ltx/decoder.ts";
import { openLtx } from "../../shared/ltx/open-ltx.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../shared/storage/memory-store.ts";
import { listLtxFiles } from "../../shared/replica/list-ltx-files.ts";
import { formatLtxKey } from "../../shared/replica/ltx-key.ts";
import { concatBytes } from "./ltx-fixtures.ts";
import { replicaIn } from "./replica-fixtures.ts";

export interface StartOptions {
  readonly replica?: Replica | undefined;
  /** Called for each file, when its pages are known and not yet read. */
  readonly now?: () => number;
}

export class CaptureFixture implements Disposable {
  readonly source: SourceDatabase;
  readonly staging: Staging;
  readonly capture: WalCapture;
  readonly replica: Replica;
  /** It went on in the log where the last run ended. */
  readonly isResumed: boolean;
  /** What the capture told. */
  readonly events: readonly ReplicationEvent[];

  private constructor(
    parts: Pick<
      CaptureFixture,
      "source" | "staging" | "capture" | "replica" | "isResumed" | "events"
    >,
  ) {
    ({
      source: this.source,
      staging: this.staging,
      capture: this.capture,
      replica: this.replica,
      isResumed: this.isResumed,
      events: this.events,
    } = parts);
  }

  /** Takes up `path` as a start of the replicator does. */
  static async start(
    path: string,
    { replica = replicaIn(new MemoryStore()), now = () => 1_700_000_000_000 }: StartOptions = {},
  ): Promise<CaptureFixture> {
    const source = SourceDatabase.open(path);
    const staging = await Staging.open(path);
    source.holdReadLock();
    const memory = await PageMemory.load(staging, source.pageSize);
    const { txid, staged } = await reconcile(replica, { staging, source });
    memory.keepOnly(staged);
    const events: ReplicationEvent[] = [];
    // How far it has come is told on a slow machine only.
    const onEvent = (event: ReplicationEvent) =>
      void (event.event !== "progress" && events.push(event));
    const capture = new WalCapture({ source, staging, now, txid, memory, onEvent });
    const point = staged === undefined ? undefined : await findResumePoint(staging, staged, source);
    if (point) {
      capture.resume(point);
      while (await capture.capture());
    }
    const isResumed = point !== undefined;
    return new CaptureFixture({ source, staging, capture, replica, isResumed, events });
  }

  /** Stages everything that is committed. */
  async captureAll(): Promise<StagedFile[]> {
    const files: StagedFile[] = [];
    for (let file = await this.capture.capture(); file; file = await this.capture.capture()) {
      files.push(file);
    }
    return files;
  }

  /** Stages everything and copies the log into the database file, as the replicator does it. */
  async checkpoint(): Promise<void> {
    await this.source.withWriteLock(async () => {
      await this.captureAll();
      this.source.releaseReadLock();
      await this.source.checkpointPassive();
      this.source.holdReadLock();
    });
  }

  /** One staged file, decoded: every check of the format has passed. */
  async decode(txid: Txid): Promise<LtxSummary & { readonly pages: readonly LtxPage[] }> {
    return decodeLtx(readFileSync(this.staging.pathOf(txid)));
  }

  /** Puts what is staged into the store, where it lacks it. */
  async upload(): Promise<void> {
    for (const txid of await this.staging.txids()) {
      const key = formatLtxKey(this.replica, { level: 0, minTxid: txid, maxTxid: txid });
      await this.replica.store.put(key, readFileSync(this.staging.pathOf(txid)));
    }
  }

  /** The database that all staged files make together. */
  async merged(): Promise<Buffer> {
    const txids = await this.staging.txids();
    return mergeLtx(txids.map((txid) => readFileSync(this.staging.pathOf(txid))));
  }

  /** The database that all files in the store make together. */
  async restored(): Promise<Buffer> {
    const { replica } = this;
    const files: Uint8Array[] = [];
    for await (const { key } of listLtxFiles(replica, { level: 0 })) {
      files.push((await replica.store.get(key))!.bytes);
    }
    return mergeLtx(files);
  }

  /** Ends without a trace, as a process does: nothing is drained. */
  [Symbol.dispose](): void {
    this.source.close();
  }
}

function mergeLtx(files: readonly Uint8Array[]): Buffer {
  const inputs = files.map((bytes) => openLtx([bytes]));
  const { header, pages } = decodeLtx(concatBytes(compactLtx(inputs)));
  const image = Buffer.alloc(header.commit * header.pageSize);
  for (const { pgno, data } of pages) image.set(data, (pgno - 1) * header.pageSize);
  return image;
}
