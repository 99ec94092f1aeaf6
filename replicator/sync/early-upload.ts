import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import { formatInstant } from "../../shared/instant.ts";
import { SINGLE_PUT_BYTES_MAX } from "../../shared/limits.ts";
import { decodeHeader, LTX_HEADER_BYTES } from "../../shared/ltx/header.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { TIMESTAMP_METADATA } from "../../shared/replica/list-ltx-files.ts";
import { formatLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import type { FileFollower, GrowingFile } from "./growing-file.ts";

/** What an upload that failed has left in the store is cleared within so long or not at all, in milliseconds. */
const CLEAR_MS = 5_000;

export interface EarlyUploadOptions {
  readonly replica: Replica;
  /** Says whether whatever came before is in the store, so that the file that is being written is the next. */
  readonly isNext: () => boolean;
  /** From so many bytes on; whatever goes up in one piece cannot be begun before it is whole. */
  readonly bytesMin?: number | undefined;
}

/** What the end of an upload needs of whoever may end it. */
interface Permission {
  readonly beforeComplete: () => Promise<void> | undefined;
  readonly signal: AbortSignal;
}

interface Early {
  readonly txid: Txid;
  readonly file: GrowingFile;
  readonly ending: AbortController;
  readonly permission: PromiseWithResolvers<Permission>;
  /** Never rejects. */
  readonly outcome: Promise<{ readonly sizeBytes: number } | { readonly error: unknown }>;
}

/**
 * The upload of a large file that begins while the file is still being written to the staging directory. It makes
 * the file known to nobody: its parts are sent, and it ends only when the file is safely staged, and the uploader,
 * whose turn it is then, says so under the lease. Until then all that it leaves is an upload that was never finished.
 */
export class EarlyUpload implements FileFollower {
  readonly bytesMin: number;
  readonly #options: EarlyUploadOptions;
  #current: Early | undefined;

  constructor(options: EarlyUploadOptions) {
    this.bytesMin = options.bytesMin ?? SINGLE_PUT_BYTES_MAX;
    this.#options = options;
  }

  /** To be told of a file of level 0 that is being written, as it grows. Begins its upload when that is worth it. */
  grown(txid: Txid, file: GrowingFile): void {
    if (this.#current || file.writtenBytes <= this.bytesMin || !this.#options.isNext()) return;
    const ending = new AbortController();
    const permission = Promise.withResolvers<Permission>();
    permission.promise.catch(() => undefined);
    const signal = AbortSignal.any([ending.signal, file.failed]);
    const outcome = this.#put({ txid, file, permission: permission.promise, signal }).then(
      (sizeBytes) => ({ sizeBytes }),
      (error: unknown) => {
        // The place is free for the next file; this one is uploaded when it is whole.
        if (this.#current === early) this.#current = undefined;
        return { error };
      },
    );
    const early = { txid, file, ending, permission, outcome };
    this.#current = early;
  }

  /**
   * Ends the upload of `txid`, which is staged.
   *
   * @returns Its size in bytes; undefined when there was no such upload or it failed, so that the file is to be uploaded as any other.
   * @throws {ReplicaError} `STORE_CONFLICT` when another file is in the store under its name, `ABORTED` when `signal`
   *   fires, and whatever `beforeComplete` throws.
   */
  async complete(txid: Txid, permission: Permission): Promise<number | undefined> {
    const early = this.#current;
    if (!early) return undefined;
    if (early.txid !== txid || !early.file.isWhole) {
      this.drop();
      return undefined;
    }
    const { signal, beforeComplete } = permission;
    let refusal: unknown;
    const asking = async () => {
      try {
        await beforeComplete();
      } catch (error) {
        refusal = error;
        throw error;
      }
    };
    const forward = () => early.ending.abort(signal.reason);
    signal.addEventListener("abort", forward, { once: true });
    if (signal.aborted) forward();
    early.permission.resolve({ signal, beforeComplete: asking });
    const outcome = await early.outcome;
    signal.removeEventListener("abort", forward);
    if (this.#current === early) this.#current = undefined;
    if ("sizeBytes" in outcome) return outcome.sizeBytes;
    const { error } = outcome;
    if (refusal !== undefined || signal.aborted || isReplicaError(error, "STORE_CONFLICT")) {
      throw error;
    }
    return undefined;
  }

  /** Gives up what is under way: the file is not the one that is to follow in the store, or nobody will ask for it. */
  drop(): void {
    const early = this.#current;
    if (!early) return;
    const error = new ReplicaError("ABORTED", "the upload is not wanted any more");
    early.permission.reject(error);
    early.ending.abort(error);
  }

  /** As `drop`, and waits until the store has been told, for a bounded time. */
  async close(): Promise<void> {
    const early = this.#current;
    if (!early) return;
    this.drop();
    const timedOut = Promise.withResolvers<void>();
    const timer = setTimeout(timedOut.resolve, CLEAR_MS);
    await Promise.race([early.outcome, timedOut.promise]);
    clearTimeout(timer);
  }

  async #put({
    txid,
    file,
    permission,
    signal,
  }: Pick<Early, "txid" | "file"> & {
    permission: Promise<Permission>;
    signal: AbortSignal;
  }): Promise<number> {
    const { replica } = this.#options;
    const { timestampMs } = decodeHeader(await file.head(LTX_HEADER_BYTES));
    const body = async function* () {
      yield* file.read(signal);
      // Held open: a store that needs no parts makes the file known when its bytes end.
      await permission;
    };
    const key = formatLtxKey(replica, { level: 0, minTxid: txid, maxTxid: txid });
    await replica.store.put(key, body(), {
      metadata: { [TIMESTAMP_METADATA]: formatInstant(timestampMs) },
      onlyIf: { absent: true },
      sizeBytesMax: file.sizeBytesMax,
      beforeComplete: async () => await (await permission).beforeComplete(),
      signal,
    });
    return file.writtenBytes;
  }
}
