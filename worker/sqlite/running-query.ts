import { ReplicaError, throwIfAborted } from "../../shared/errors.ts";
import type { StatementWatch } from "./connection.ts";
import type { PageFaults } from "./lazy-file.ts";
import type { PageSource } from "./page-source.ts";
import type { QueryLimits, StatementRequest } from "./query.ts";

/** One query while it runs: what it may still use, and why it has to end. */
export class RunningQuery implements PageFaults, StatementWatch {
  readonly source: PageSource;
  readonly #limits: QueryLimits;
  readonly #signal: AbortSignal | undefined;
  readonly #moved: () => void;
  #faults = 0;
  denied: string | undefined;
  deterministic = true;
  isRunning = false;
  isDescribed = false;
  writes = false;
  /** The error that SQLite is unwinding for; it knows only that a read failed. */
  failure: { readonly error: unknown } | undefined;

  constructor({ source, limits, signal }: StatementRequest, moved: () => void) {
    this.source = source;
    this.#limits = limits;
    this.#signal = signal;
    this.#moved = moved;
  }

  async fetch(pgno: number): Promise<void> {
    try {
      this.#moved();
      throwIfAborted(this.#signal);
      if (this.source.comesAlong?.(pgno) !== true) this.#faults++;
      this.#checkFaults();
      await unlessAborted(this.source.load(pgno, this.#signal), this.#signal);
      this.#checkPage(pgno);
    } catch (error) {
      this.failure ??= { error };
      throw error;
    } finally {
      this.#moved();
    }
  }

  async rest(): Promise<boolean> {
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 0);
    });
    this.#moved();
    if (this.#signal?.aborted !== true) return false;
    const error = new ReplicaError("ABORTED", "the query was cancelled");
    this.failure ??= { error };
    return true;
  }

  nestedTooDeeply(): void {
    const sentence = "the statement and the views that it reads are nested too deeply to run here";
    this.failure ??= { error: new ReplicaError("SQLITE_ERROR", sentence) };
  }

  #checkPage(pgno: number): void {
    const page = this.source.resident(pgno);
    if (page === undefined) {
      throw new ReplicaError("ENGINE_FAILED", `page ${pgno} was loaded and is not there`);
    }
    if (page.length === this.source.pageSize) return;
    const sizes = `${page.length} bytes, and its database pages of ${this.source.pageSize}`;
    throw new ReplicaError("CORRUPT_PAGE", `page ${pgno} has ${sizes}`);
  }

  #checkFaults(): void {
    const { faultsMax, faultBytesMax = Number.POSITIVE_INFINITY } = this.#limits;
    const bytes = this.#faults * this.source.pageSize;
    if (this.#faults <= faultsMax && bytes <= faultBytesMax) return;
    const used = `${this.#faults - 1} pages of ${this.source.pageSize} bytes`;
    throw new ReplicaError(
      "FAULT_BUDGET",
      `the query waited for ${used}, which is all it may; an index may be missing`,
    );
  }
}

/** Rejects as soon as the signal fires; what `promise` does then is nobody's business any more. */
function unlessAborted(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return promise;
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      reject(new ReplicaError("ABORTED", "the query was cancelled", { cause: signal.reason }));
    };
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener("abort", stop);
    });
  });
}
