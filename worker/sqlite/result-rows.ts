import { ReplicaError } from "../../shared/errors.ts";
import type { QueryLimits } from "./query.ts";
import type { SqlValue } from "./values.ts";

/** What a value takes in a result beside its text or bytes. */
const VALUE_BYTES = 8;

/** Collects rows up to what a result may hold. */
export class ResultRows {
  readonly rows: SqlValue[][] = [];
  readonly #limits: QueryLimits;
  #bytes = 0;
  truncated = false;
  error: ReplicaError | undefined;

  constructor(limits: QueryLimits) {
    this.#limits = limits;
  }

  get isFull(): boolean {
    return this.truncated || this.error !== undefined;
  }

  /** Says whether there is room for one more row; where there is none, the result is truncated. */
  hasRoom(): boolean {
    this.truncated = this.rows.length >= this.#limits.rowsMax;
    return !this.truncated;
  }

  /**
   * Counts one more value of the row that is being read. False where the result is too large now: a row
   * may show the same megabytes in each of 2,000 columns, so nothing more of it may be copied.
   */
  holds(value: SqlValue): boolean {
    this.#bytes += VALUE_BYTES + sizeOf(value);
    if (this.#bytes <= this.#limits.resultBytesMax) return true;
    this.error ??= new ReplicaError(
      "RESULT_TOO_LARGE",
      `the result has more than ${this.#limits.resultBytesMax} bytes; ask for fewer rows or columns`,
    );
    return false;
  }
}

function sizeOf(value: SqlValue): number {
  return typeof value === "string" || value instanceof Uint8Array ? value.length : 0;
}
