/** What must hold after every round, whatever was done to the replicator. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { decodeLtx } from "../../shared/ltx/decoder.ts";
import { SNAPSHOT_LEVEL } from "../../shared/limits.ts";
import { listAllFiles } from "../../shared/replica/load-plan.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { restorableTxids } from "../../shared/replica/restore-plan.ts";
import { digestOf, readLedger } from "./state-digest.ts";
import type { Writer } from "./writer.ts";

/** What was said to be safely in the store; it only grows. */
export interface Promised {
  /** Newest TXID. */
  readonly txid: bigint;
  /** Newest commit of the writer. */
  readonly commit: number;
}

/** Retention, which a stepped clock hastens, deletes what a file of a higher level holds, or a later snapshot. */
function isReplaced(gone: LtxFileInfo, files: readonly LtxFileInfo[]): boolean {
  return files.some(
    ({ level, minTxid, maxTxid }) =>
      (level > gone.level || (level === SNAPSHOT_LEVEL && maxTxid > gone.maxTxid)) &&
      minTxid <= gone.minTxid &&
      maxTxid >= gone.maxTxid,
  );
}

/** Remembers what a replica held, to see that nothing of it is lost or changed. */
export class ReplicaJudge {
  readonly #replica: Replica;
  readonly #seen = new Map<string, LtxFileInfo>();

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  async files(): Promise<LtxFileInfo[]> {
    return await listAllFiles(this.#replica);
  }

  /** TXIDs that can be restored each by itself, ascending. */
  async restorable(): Promise<readonly bigint[]> {
    return restorableTxids(await this.files());
  }

  /** TXIDs are gapless, what was promised is there, and what was there before still is. */
  async check(promised: Promised): Promise<void> {
    const files = await this.files();
    const keys = new Map(files.map((file) => [file.key, file]));
    for (const [key, seen] of this.#seen) {
      const { etag, sizeBytes } = seen;
      const now = keys.get(key);
      if (!now) {
        assert.ok(isReplaced(seen, files), `"${key}" was in the store, and is gone`);
        this.#seen.delete(key);
        continue;
      }
      assert.equal(now.sizeBytes, sizeBytes, `"${key}" has another size than before`);
      assert.equal(now.etag, etag, `"${key}" is not the object that it was`);
    }
    for (const file of files) this.#seen.set(file.key, file);
    for (let level = 0; level < SNAPSHOT_LEVEL; level++) {
      checkLevel(level, files);
    }
    const covered = coveredFrom(0n, files);
    const newest = files.reduce((max, { maxTxid }) => (maxTxid > max ? maxTxid : max), 0n);
    assert.equal(
      covered,
      newest,
      `no file covers TXID ${covered + 1n}, and ${newest} is the newest`,
    );
    assert.ok(
      newest >= promised.txid,
      `TXID ${promised.txid} was uploaded; the newest is ${newest}`,
    );
  }

  /** Every object decodes, with every check, to the TXIDs of its name. */
  async checkContent(): Promise<void> {
    for (const { key, minTxid, maxTxid } of await this.files()) {
      const stored = await this.#replica.store.get(key);
      assert.ok(stored, `"${key}" is listed, and is not there`);
      const { header } = decodeLtx(stored.bytes);
      assert.deepEqual([header.minTxid, header.maxTxid], [minTxid, maxTxid], key);
    }
  }
}

/** No TXID is twice in a level, and what lies between two of its files is in a level above it. */
function checkLevel(level: number, files: readonly LtxFileInfo[]): void {
  let previous: LtxFileInfo | undefined;
  for (const file of files.filter((each) => each.level === level)) {
    if (level === 0) assert.equal(file.minTxid, file.maxTxid, `${file.key} holds several TXIDs`);
    if (previous) {
      assert.ok(file.minTxid > previous.maxTxid, `overlap before ${file.key}`);
      const above = files.filter((each) => each.level > level);
      const reached = coveredFrom(previous.maxTxid, above);
      assert.ok(reached + 1n >= file.minTxid, `gap before ${file.key}`);
    }
    previous = file;
  }
}

/** How far the TXIDs behind `start` are in `files` without a gap. */
function coveredFrom(start: bigint, files: readonly LtxFileInfo[]): bigint {
  let covered = start;
  for (const { minTxid, maxTxid } of files.toSorted((a, b) => (a.minTxid < b.minTxid ? -1 : 1))) {
    if (minTxid > covered + 1n) break;
    if (maxTxid > covered) covered = maxTxid;
  }
  return covered;
}

/**
 * A restored database is sound, and is what the writer had committed at one moment, its whole ledger included.
 * Answers the number of that commit.
 */
export function checkRestored(path: string, writer: Writer): number {
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    database.function("rowOf", { deterministic: true }, (id) => Number(id));
    const soundness = database.prepare("PRAGMA integrity_check").get()?.["integrity_check"];
    assert.equal(soundness, "ok", "the restored database is not sound");
    const ledger = readLedger(database);
    const [newest] = ledger;
    assert.ok(newest, "the restored database has no ledger");
    for (const [index, { commit, digest }] of ledger.entries()) {
      assert.equal(commit, newest.commit - index, "the restored ledger lacks a commit");
      const told = writer.digestOf(commit);
      if (told !== undefined) assert.equal(digest, told, `the ledger's row ${commit} is another`);
    }
    assert.equal(
      digestOf(database),
      newest.digest,
      `this is not the state of commit ${newest.commit}`,
    );
    assert.ok(newest.commit <= writer.commit, "the restored database holds what was not committed");
    return newest.commit;
  } finally {
    database.close();
  }
}

/** Removes a restored database that has passed. */
export function removeRestored(path: string): void {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${path}${suffix}`, { force: true });
}
