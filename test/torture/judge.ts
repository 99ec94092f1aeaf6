/** What must hold after every round, whatever was done to the replicator. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { decodeLtx } from "../../shared/ltx/decoder.ts";
import { SNAPSHOT_LEVEL } from "../../shared/limits.ts";
import { listAllFiles } from "../../shared/replica/load-plan.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { digestOf, readLedger } from "./state-digest.ts";
import type { Writer } from "./writer.ts";

/** What was said to be safely in the store; it only grows. */
export interface Promised {
  /** Newest TXID. */
  readonly txid: bigint;
  /** Newest commit of the writer. */
  readonly commit: number;
}

/** Retention, which a stepped clock hastens, deletes what a file of a higher level holds. */
function isReplaced(gone: LtxFileInfo, files: readonly LtxFileInfo[]): boolean {
  return files.some(
    ({ level, minTxid, maxTxid }) =>
      level > gone.level && minTxid <= gone.minTxid && maxTxid >= gone.maxTxid,
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
      checkLevel(
        level,
        files.filter((file) => file.level === level),
      );
    }
    const covered = coveredFromTheFirst(files);
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

function checkLevel(level: number, files: readonly LtxFileInfo[]): void {
  let previous: LtxFileInfo | undefined;
  for (const file of files) {
    if (level === 0) assert.equal(file.minTxid, file.maxTxid, `${file.key} holds several TXIDs`);
    if (previous) {
      assert.equal(file.minTxid, previous.maxTxid + 1n, `gap or overlap before ${file.key}`);
    }
    previous = file;
  }
}

function coveredFromTheFirst(files: readonly LtxFileInfo[]): bigint {
  let covered = 0n;
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
