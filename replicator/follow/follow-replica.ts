import { setTimeout as sleep } from "node:timers/promises";
import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { lockPgno } from "../../shared/sqlite/database-header.ts";
import { applyFiles } from "../restore/apply-files.ts";
import { DatabaseFile } from "../restore/database-file.ts";
import { isDiskFull } from "../storage/disk-full.ts";
import { findChanges } from "./find-changes.ts";
import type { FollowEvent, WaitingReason } from "./follow-events.ts";
import { FollowedDatabase } from "./followed-database.ts";

/** One transaction takes up so much of LTX files at most, or one file: it needs room beside the database. */
const BATCH_BYTES_MAX = 64 * 1024 * 1024;
/** So many looks in vain at level 0 until all levels are looked at. */
const IDLE_LOOKS_MAX = 60;
/** On a full disk it is tried again after so long, and longer each time, in milliseconds. */
const ROOM_PAUSE_MS_MIN = 500;
const ROOM_PAUSE_MS_MAX = 30_000;

export interface FollowOptions {
  readonly replica: Replica;
  /** A database that was restored for it. */
  readonly path: string;
  /** From one look at the replica to the next, in milliseconds. */
  readonly intervalMs: number;
  readonly parallelism?: number | undefined;
  /** Ends it, at the end of a transaction. */
  readonly signal: AbortSignal;
  readonly onEvent?: ((event: FollowEvent) => void) | undefined;
}

/**
 * Keeps a restored database up with its replica until the signal fires. What passes by itself (readers
 * that hold the database, a store that does not answer, a TXID that no file holds yet, a full disk) is
 * told and waited for.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, `STORE_DENIED`, `REPLICA_BEHIND`, `SOURCE_INVALID`, `LOCAL_FILE`.
 */
export async function followReplica(options: FollowOptions): Promise<void> {
  const { path, intervalMs, signal, onEvent } = options;
  const database = FollowedDatabase.open(path);
  try {
    const follower = new Follower(database, options);
    onEvent?.({ event: "following", db: path, txid: formatTxid(database.txid) });
    while (!signal.aborted) {
      const hasMore = await follower.look();
      const pauseMs = Math.max(intervalMs, follower.roomPauseMs);
      if (!hasMore) await sleep(pauseMs, undefined, { signal }).catch(() => undefined);
    }
    onEvent?.({ event: "stopped", txid: formatTxid(database.txid) });
  } finally {
    database.close();
  }
}

class Follower {
  readonly #database: FollowedDatabase;
  readonly #options: FollowOptions;
  /** The first look is a thorough one. */
  #idleLooks = IDLE_LOOKS_MAX;
  #told: string | undefined;
  /** How often in a row there was no room. */
  #fullLooks = 0;

  constructor(database: FollowedDatabase, options: FollowOptions) {
    this.#database = database;
    this.#options = options;
  }

  /** Each look on a full disk reads from the store what it then cannot write, so they become rare. In milliseconds. */
  get roomPauseMs(): number {
    if (this.#fullLooks === 0) return 0;
    return Math.min(ROOM_PAUSE_MS_MAX, ROOM_PAUSE_MS_MIN * 2 ** (this.#fullLooks - 1));
  }

  /** Takes up a part of what is new. Says whether there is more at once. */
  async look(): Promise<boolean> {
    const { replica, signal } = this.#options;
    try {
      const isThorough = this.#idleLooks >= IDLE_LOOKS_MAX;
      const changes = await findChanges(replica, this.#database.txid, { isThorough, signal });
      this.#idleLooks = isThorough || changes.files.length > 0 ? 0 : this.#idleLooks + 1;
      const batch = firstOf(changes.files, BATCH_BYTES_MAX);
      if (batch.length > 0) {
        const isApplied = await this.#take(batch);
        return isApplied && batch.length < changes.files.length;
      }
      if (changes.missing === undefined) this.#told = undefined;
      else this.#wait("gap", `TXID ${formatTxid(changes.missing)} is in no file, later ones are`);
      return false;
    } catch (error) {
      if (signal.aborted) return false;
      if (isDiskFull(error)) {
        this.#fullLooks++;
        this.#wait("disk", (error as Error).message);
        return false;
      }
      // A file went between LIST and GET: the next look finds what replaced it.
      const passes = isReplicaError(error, "R2_ERROR") || isReplicaError(error, "OBJECT_MISSING");
      if (!passes) throw error;
      this.#idleLooks = IDLE_LOOKS_MAX;
      this.#wait("store", error.message);
      return false;
    }
  }

  /** Reads files whole, every checksum verified, and only then touches the database. */
  async #take(batch: readonly LtxFileInfo[]): Promise<boolean> {
    const { replica, signal, parallelism, onEvent } = this.#options;
    let bytes = 0;
    const pages = new DatabaseFile(this.#database.path);
    try {
      const onBytes = (count: number) => (bytes += count);
      const options = { signal, parallelism, onBytes };
      const { commit, pageSize, maxTxid, timestampMs } = await applyFiles(
        replica,
        batch,
        pages,
        options,
      );
      this.#refuseHole(pages, commit, pageSize);
      const written = this.#database.apply({ pages, commit, pageSize, txid: maxTxid });
      if (written === undefined) {
        this.#wait(
          "readers",
          "programs hold the database in long reads; the next look tries again",
        );
        return false;
      }
      this.#told = undefined;
      this.#fullLooks = 0;
      onEvent?.({
        event: "applied",
        txid: formatTxid(maxTxid),
        files: batch.length,
        pages: written,
        bytes,
        lag_ms: Math.max(0, Date.now() - timestampMs),
      });
      return true;
    } finally {
      await pages.discard();
    }
  }

  /** Every page by which the database grows must be among those that were read. */
  #refuseHole(pages: DatabaseFile, commit: number, pageSize: number): void {
    for (let pgno = this.#database.commit + 1; pgno <= commit; pgno++) {
      if (pages.has(pgno) || pgno === lockPgno(pageSize)) continue;
      throw new ReplicaError(
        "CORRUPT_PAGE",
        `page ${pgno} of ${commit} is in none of the LTX files after TXID ${formatTxid(this.#database.txid)}`,
      );
    }
  }

  #wait(reason: WaitingReason, message: string): void {
    if (this.#told === message) return;
    this.#told = message;
    this.#options.onEvent?.({ event: "waiting", reason, message });
  }
}

/** The first files, at least one, that take no more than `bytesMax` together. */
function firstOf(files: readonly LtxFileInfo[], bytesMax: number): LtxFileInfo[] {
  let bytes = 0;
  let count = 0;
  for (; count < files.length; count++) {
    bytes += files[count]?.sizeBytes ?? 0;
    if (bytes > bytesMax && count > 0) break;
  }
  return files.slice(0, count);
}
