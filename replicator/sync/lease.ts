import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import { formatReplicaPrefix, type Replica } from "../../shared/replica/ltx-key.ts";
import type { Etag, ObjectInfo } from "../../shared/storage/object-store.ts";
import { isDiskFull } from "../storage/disk-full.ts";
import { codeOf, makeFolder, publishFile, writeTemporaryFile } from "../storage/durable-file.ts";
import {
  describeLease,
  formatLease,
  isLive,
  isOwnLease,
  LEASE_MS,
  parseLease,
  parseLeaseRecord,
  type FoundLease,
  type LeaseRecord,
} from "./lease-document.ts";

/** The lease is given back within so long or left to run out, in milliseconds. */
const RELEASE_MS = 5_000;
/** A write that met another one is tried so often before that counts as a failure of the store. */
const ATTEMPTS_MAX = 3;

export interface LeaseOptions {
  readonly replica: Replica;
  /** Where this machine remembers its last write of the lease. */
  readonly recordPath: string;
  /** The system's clock, in milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * The right to write to a replica's path: `lock.json`, which only conditional writes change.
 *
 * It is looked at first and taken with the first upload, on the condition that nothing has changed
 * since that look; so whatever another replicator does in between is noticed, however short. An idle
 * replicator asks nothing of the store: its lease runs out, and is renewed on the same condition.
 *
 * A lease is no fence, because a process can be paused after it has looked. The fence are the
 * create-only writes at level 0; the lease tells whose the file is that stands in their way.
 */
export class Lease {
  readonly #options: LeaseOptions;
  readonly #key: string;
  readonly #owner = `${hostname()}:${process.pid}`;
  /** What is to be replaced: ours, or what was there when we looked; undefined: there was none. */
  #etag: Etag | undefined;
  #generation: number;
  /** Until when it is ours by our own clock; undefined while it was never taken. */
  #heldUntilMs: number | undefined;
  /** Of a write whose outcome is not known yet. */
  #nonce: string | undefined;
  #renewing: Promise<void> | undefined;

  private constructor(options: LeaseOptions, key: string, found: FoundLease | undefined) {
    this.#options = options;
    this.#key = key;
    this.#etag = found?.etag;
    this.#generation = (found?.document?.generation ?? 0) + 1;
  }

  /**
   * Looks whether the path may be written to: nobody has the lease, it has run out, or it is that of a
   * process that worked on the same staging directory and is gone. To be called under the process lock,
   * and before the replica is listed.
   *
   * @throws {ReplicaError} `WRITER_CONFLICT` when it is another's.
   */
  static async look(options: LeaseOptions, signal?: AbortSignal): Promise<Lease> {
    const { replica, recordPath, now } = options;
    const key = `${formatReplicaPrefix(replica)}lock.json`;
    const found = await readLease(replica, key, signal);
    if (found && isLive(found, now()) && !isOwnLease(found, await readRecord(recordPath))) {
      throw new ReplicaError(
        "WRITER_CONFLICT",
        `another replicator writes to this path: ${describeLease(key, found, now())}`,
      );
    }
    return new Lease(options, key, found);
  }

  /**
   * Makes sure that the lease is ours. Asks nothing of the store while more than a third of its time is left.
   *
   * @throws {ReplicaError} `WRITER_CONFLICT` when another replicator has taken it, `BAD_CONFIG` when
   *   the store knows no conditional writes, `R2_ERROR` and `STORE_DENIED` as the store.
   */
  async hold(signal: AbortSignal): Promise<void> {
    const leftMs = this.#leftMs();
    // More than all of it is left when the clock was set back: nothing is known then.
    if (leftMs > LEASE_MS / 3 && leftMs <= LEASE_MS) return;
    await this.confirm(signal);
  }

  #leftMs(): number {
    return (this.#heldUntilMs ?? Number.NEGATIVE_INFINITY) - this.#options.now();
  }

  /**
   * Renews it beside whatever else is done, when half of its time is over: the next upload then need not
   * wait for that. To be called after an upload. Whatever goes wrong is met by the next `hold`.
   */
  renewAhead(signal: AbortSignal): void {
    if (this.#leftMs() > LEASE_MS / 2) return;
    this.confirm(signal).catch(() => undefined);
  }

  /** As `hold`, and asks the store in any case. */
  async confirm(signal: AbortSignal): Promise<void> {
    this.#renewing ??= this.#renew(signal).finally(() => (this.#renewing = undefined));
    await this.#renewing;
  }

  /**
   * Does `work`, however long it takes, under the lease: it is renewed meanwhile. The signal that
   * `work` is given fires also when the lease is lost.
   *
   * @throws {ReplicaError} As `hold`, and whatever `work` throws.
   */
  async during<Result>(
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    await this.hold(signal);
    const lost = new AbortController();
    let renewing: Promise<void> | undefined;
    const timer = setInterval(() => {
      renewing = this.hold(signal).catch((error: unknown) => {
        // A store that does not answer is met by the next attempt, or by `work` itself.
        if (isReplicaError(error, "WRITER_CONFLICT")) lost.abort(error);
      });
    }, LEASE_MS / 3);
    try {
      return await work(AbortSignal.any([signal, lost.signal]));
    } catch (error) {
      throw lost.signal.aborted ? lost.signal.reason : error;
    } finally {
      clearInterval(timer);
      await renewing;
    }
  }

  /**
   * Gives the lease back, by one that has run out: never by a DELETE, whose condition R2 ignores. Where
   * that fails it runs out by itself, and on this machine it can be taken over at once all the same.
   */
  async release(): Promise<void> {
    await this.#renewing?.catch(() => undefined);
    if (this.#heldUntilMs === undefined) return;
    try {
      // So long run out that no clock counts it as live.
      await this.#write(-LEASE_MS, AbortSignal.timeout(RELEASE_MS));
    } catch (error) {
      if (!isReplicaError(error)) throw error;
    }
    this.#heldUntilMs = undefined;
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const isFirst = this.#heldUntilMs === undefined;
    const { now } = this.#options;
    // Read before the request: it may be on its way for long.
    const heldUntilMs = now() + LEASE_MS;
    for (let attempt = 1; ; attempt++) {
      try {
        await this.#write(LEASE_MS, signal);
        break;
      } catch (error) {
        if (!isReplicaError(error, "STORE_CONFLICT")) throw this.#withAdvice(error);
        await this.#refuseOther(signal);
        if (attempt === ATTEMPTS_MAX) {
          const sentence = `the lease "${this.#key}" could not be written: ${error.message}`;
          throw new ReplicaError("R2_ERROR", sentence, { cause: error });
        }
      }
    }
    if (isFirst) await this.#refuseIgnorance(signal);
    this.#heldUntilMs = heldUntilMs;
  }

  async #write(ms: number, signal: AbortSignal): Promise<void> {
    const { replica, recordPath, now } = this.#options;
    // The same again after a write that may have been carried out: it is ours either way.
    this.#nonce ??= randomUUID();
    await writeRecord(recordPath, { etag: this.#etag ?? null, nonce: this.#nonce });
    const onlyIf = this.#etag === undefined ? ({ absent: true } as const) : { etag: this.#etag };
    const body = this.#format(now() + ms, this.#nonce);
    const { etag }: ObjectInfo = await replica.store.put(this.#key, body, {
      onlyIf,
      mustBeAtomic: true,
      signal,
    });
    this.#etag = etag;
    this.#nonce = undefined;
  }

  #format(expiresAtMs: number, nonce: string): Uint8Array {
    return formatLease({ generation: this.#generation, expiresAtMs, owner: this.#owner, nonce });
  }

  /** After a condition that did not hold: goes on where the lease is ours all the same. */
  async #refuseOther(signal: AbortSignal): Promise<void> {
    const { replica, now } = this.#options;
    const found = await readLease(replica, this.#key, signal);
    // Unchanged: the store was busy with another write of it, or one that was given up.
    if (found?.etag === this.#etag) return;
    if (found && this.#nonce !== undefined && found.document?.nonce === this.#nonce) {
      this.#etag = found.etag;
      return;
    }
    const whose = found
      ? describeLease(this.#key, found, now())
      : `the lease "${this.#key}" was deleted`;
    throw new ReplicaError(
      "WRITER_CONFLICT",
      `another replicator has taken this path over, so this one stops writing to it: ${whose}. Whichever is to go on takes up the position of the store when it is started again`,
    );
  }

  /** A store that overlooks conditions would let two writers in, and say nothing. */
  async #refuseIgnorance(signal: AbortSignal): Promise<void> {
    const { replica, now } = this.#options;
    // A lease like the other, should it be stored; but other bytes, so that it cannot pass for it.
    const body = this.#format(now() + LEASE_MS, randomUUID());
    try {
      const onlyIf = { absent: true } as const;
      await replica.store.put(this.#key, body, { onlyIf, mustBeAtomic: true, signal });
    } catch (error) {
      if (isReplicaError(error, "STORE_CONFLICT")) return;
      throw this.#withAdvice(error);
    }
    throw new ReplicaError(
      "BAD_CONFIG",
      `the store overlooks the condition "only if it is not there yet", so a second replicator on this path would go unnoticed: ${SWITCH_OFF}`,
    );
  }

  #withAdvice(error: unknown): unknown {
    if (!isReplicaError(error, "BAD_CONFIG")) return error;
    return new ReplicaError("BAD_CONFIG", `${error.message}: ${SWITCH_OFF}`, { cause: error });
  }
}

const SWITCH_OFF =
  "see to it that a path has one writer, and switch the lease off (--no-lease; in the library `lease: false`)";

async function readLease(
  { store }: Replica,
  key: string,
  signal: AbortSignal | undefined,
): Promise<FoundLease | undefined> {
  const stored = await store.get(key, { signal });
  return stored && { etag: stored.etag, document: parseLease(stored.bytes) };
}

async function readRecord(path: string): Promise<LeaseRecord | undefined> {
  try {
    return parseLeaseRecord(await readFile(path, "utf8"));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Before the write that it is about: so a process that is killed in between is known again too. */
async function writeRecord(path: string, record: LeaseRecord): Promise<void> {
  try {
    await makeFolder(dirname(path));
    const body = new TextEncoder().encode(`${JSON.stringify(record)}\n`);
    const temporary = await writeTemporaryFile(path, body);
    try {
      await publishFile(temporary, path);
    } finally {
      await temporary.handle.close();
    }
  } catch (error) {
    // Uploads make room, so they must not wait for it; a restart may have to wait for the lease then.
    if (!isDiskFull(error)) throw error;
  }
}
