/** A replica in a folder, made from a real database's history, and a database that follows it. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { followReplica } from "../../replicator/follow/follow-replica.ts";
import type { FollowEvent } from "../../replicator/follow/follow-events.ts";
import { writeFollowerHeader } from "../../replicator/follow/follower-header.ts";
import { writeTxidFile } from "../../replicator/follow/txid-file.ts";
import { restoreDatabase } from "../../replicator/restore/restore-database.ts";
import { openReplica } from "../../replicator/storage/open-store.ts";
import { formatLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import { ltxBetween, type Images } from "./ltx-from-images.ts";
import { txid } from "./replica-fixtures.ts";

/** Runs each step on a new database, outside of any transaction, and keeps the file after each. */
export function imagesOf(steps: readonly string[], pageSize = 1024): Images {
  const folder = mkdtempSync(join(tmpdir(), "eddy-steps-"));
  try {
    const path = join(folder, "steps.db");
    const database = new DatabaseSync(path);
    database.exec(
      `PRAGMA page_size = ${pageSize}; PRAGMA auto_vacuum = 2; PRAGMA journal_mode = WAL`,
    );
    const versions = steps.map((sql) => {
      database.exec(`${sql}; PRAGMA wal_checkpoint(TRUNCATE)`);
      return readFileSync(path).toString("base64");
    });
    database.close();
    return { pageSize, versions };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export class FollowFixture implements Disposable {
  readonly folder = mkdtempSync(join(tmpdir(), "eddy-follow-"));
  readonly path: string;
  readonly replicaFolder = join(this.folder, "replica");
  readonly url = `file://${this.replicaFolder}`;
  readonly replica: Replica = openReplica(this.url, { env: {}, writing: false });
  readonly #images: Images;

  /** @param home Folder of the database; a temporary one by default. */
  constructor(images: Images, home?: string) {
    this.#images = images;
    this.path = join(home ?? this.folder, "followed.db");
  }

  /** Puts the file of some transactions into the replica. */
  put(level: number, min: number, max = min): void {
    const path = this.fileOf(level, min, max);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, ltxBetween(this.#images, min, max));
  }

  fileOf(level: number, min: number, max = min): string {
    const key = formatLtxKey(this.replica, { level, minTxid: txid(min), maxTxid: txid(max) });
    return join(this.replicaFolder, key);
  }

  /** Restores the newest state, as `eddy restore --follow` begins. */
  async restore(): Promise<void> {
    await restoreDatabase(this.replica, {
      output: this.path,
      target: { kind: "latest" },
      integrityCheck: "full",
      force: true,
      editPage1: writeFollowerHeader,
      onFinished: ({ txid }) => writeTxidFile(this.path, txid),
    });
  }

  /** Follows until an event fits; answers all that there were. */
  async followUntil(
    isLast: (event: FollowEvent) => boolean,
    onEvent?: (event: FollowEvent) => void,
  ): Promise<FollowEvent[]> {
    const ended = new AbortController();
    const events: FollowEvent[] = [];
    await followReplica({
      replica: this.replica,
      path: this.path,
      intervalMs: 1,
      signal: ended.signal,
      onEvent(event) {
        events.push(event);
        onEvent?.(event);
        if (isLast(event)) ended.abort();
      },
    });
    return events;
  }

  /** Follows until the database is at a TXID. */
  async followTo(newest: number): Promise<FollowEvent[]> {
    const text = newest.toString(16).padStart(16, "0");
    return await this.followUntil((event) => "txid" in event && event.txid === text);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
