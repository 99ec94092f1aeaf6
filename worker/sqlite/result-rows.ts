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

  add(row: SqlValue[]): void {
    if (this.rows.length >= this.#limits.rowsMax) {
      this.truncated = true;
      return;
    }
    for (const value of row) this.#bytes += VALUE_BYTES + sizeOf(value);
    if (this.#bytes > this.#limits.resultBytesMax) {
      this.error = new ReplicaError(
        "RESULT_TOO_LARGE",
        `the result has more than ${this.#limits.resultBytesMax} bytes; ask for fewer rows or columns`,
      );
      return;
    }
    this.rows.push(row);
  }
}

function sizeOf(value: SqlValue): number {
  return typeof value === "string" || value instanceof Uint8Array ? value.length : 0;
}
