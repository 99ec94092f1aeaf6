import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import { formatInstant } from "../../shared/instant.ts";
import { decodeHeader, LTX_HEADER_BYTES } from "../../shared/ltx/header.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { TIMESTAMP_METADATA } from "../../shared/replica/list-ltx-files.ts";
import { formatLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import { codeOf } from "../storage/durable-file.ts";
import type { EarlyUpload } from "./early-upload.ts";
import type { Lease } from "./lease.ts";
import { isSameFile } from "./reconcile.ts";
import type { Staging } from "./staging.ts";

/** How often another's file may stand in the way of ours before the lease is not believed any more. */
const STRANGERS_MAX = 3;

export interface ShippingParts {
  readonly replica: Replica;
  readonly staging: Staging;
  /** Undefined where it is switched off. */
  readonly lease: Lease | undefined;
  /** What has begun before its file was staged. */
  readonly early?: EarlyUpload | undefined;
}

/** A file is in the store; or it is not the one that belongs there, and why. */
export type Shipment = { readonly sizeBytes: number } | { readonly diverged: string };

/** Moves single files to the store, so that no file of another history is ever replaced or followed. */
export class Shipping {
  readonly #parts: ShippingParts;
  #strangers = 0;

  constructor(parts: ShippingParts) {
    this.#parts = parts;
  }

  /**
   * Puts one staged file into the store, where its TXID must be free.
   *
   * @returns `diverged` when what is staged does not go on any more: the file is gone or damaged, or
   *   under its key is another one that a process without the lease left there.
   * @throws {ReplicaError} `WRITER_CONFLICT` when another replicator writes to the path, and what the
   *   store throws.
   */
  async ship(txid: Txid, signal: AbortSignal): Promise<Shipment> {
    const { lease } = this.#parts;
    const put = (either: AbortSignal) => this.#put(txid, either);
    try {
      const sizeBytes = await (lease ? lease.during(signal, put) : put(signal));
      lease?.renewAhead(signal);
      return { sizeBytes };
    } catch (error) {
      // What has begun would keep its place in the store until the next attempt, which may never succeed.
      this.drop();
      if (isReplicaError(error, "STORE_CONFLICT")) return await this.#judge(txid, error, signal);
      return { diverged: whyLost(error) };
    }
  }

  /** Gives up what has begun for files that are not to follow in the store. */
  drop(): void {
    this.#parts.early?.drop();
  }

  async release(): Promise<void> {
    await this.#parts.early?.close();
    await this.#parts.lease?.release();
  }

  async #put(txid: Txid, signal: AbortSignal): Promise<number> {
    const { replica, staging, lease, early } = this.#parts;
    const beforeComplete = () => lease?.confirm(signal);
    // Staged a moment ago; after a failure it is read from where it lies.
    const recent = staging.takeRecent(txid);
    const { head, sizeBytes } = recent ? endsOf(recent) : await staging.ends(txid);
    if ((await early?.complete(txid, { beforeComplete, signal })) !== undefined) return sizeBytes;
    const metadata = { [TIMESTAMP_METADATA]: formatInstant(decodeHeader(head).timestampMs) };
    const body = recent ?? (await staging.body(txid));
    await replica.store.put(this.#keyOf(txid), body, {
      metadata,
      onlyIf: { absent: true },
      sizeBytesMax: sizeBytes,
      beforeComplete,
      signal,
    });
    return sizeBytes;
  }

  /** Another file is under the key already: whose is it? */
  async #judge(txid: Txid, cause: ReplicaError, signal: AbortSignal): Promise<Shipment> {
    const { replica, staging, lease } = this.#parts;
    const key = this.#keyOf(txid);
    try {
      // The same file: our own PUT, whose answer was lost.
      if (await isSameFile(replica, staging, txid, signal)) {
        return { sizeBytes: await staging.sizeOf(txid) };
      }
    } catch (error) {
      return { diverged: whyLost(error) };
    }
    if (!lease) throw refusal(key, cause);
    await lease.confirm(signal);
    // One file is under way at a time, so whoever is gone leaves one; a process that was paused, few.
    if (++this.#strangers > STRANGERS_MAX) throw refusal(key, cause);
    // Nobody is to take it for a copy of what is in the store.
    await staging.remove(txid);
    return {
      diverged: `"${key}" was in the store already with other content: a late write of a replicator that has lost the lease`,
    };
  }

  #keyOf(txid: Txid): string {
    return formatLtxKey(this.#parts.replica, { level: 0, minTxid: txid, maxTxid: txid });
  }
}

function endsOf(file: Uint8Array): { head: Uint8Array; sizeBytes: number } {
  return { head: file.subarray(0, LTX_HEADER_BYTES), sizeBytes: file.length };
}

/** Why a staged file cannot be shipped; throws on what is not about that file. */
function whyLost(error: unknown): string {
  if (codeOf(error) === "ENOENT") return "a staged file was removed before it was uploaded";
  if (isReplicaError(error, "CORRUPT_PAGE")) return "a staged file is damaged";
  throw error;
}

function refusal(key: string, cause: ReplicaError): ReplicaError {
  return new ReplicaError(
    "WRITER_CONFLICT",
    `"${key}" is in the store already with other content: another replicator writes to this path. Stop it, then start this one again: it goes on after what it finds there`,
    { cause },
  );
}
