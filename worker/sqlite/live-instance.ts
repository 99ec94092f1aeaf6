import { ReplicaError } from "../../shared/errors.ts";
import type { PrivateStack, SqliteBuild, SqliteInstance } from "./build.ts";
import type { Connection } from "./connection.ts";
import { ConnectionPool } from "./connection-pool.ts";

/** One instance of SQLite with what belongs to it: stacks, connections, and whether it still lives. */
export class LiveInstance {
  readonly sqlite: SqliteInstance;
  readonly heapBytesMax: number;
  readonly pool = new ConnectionPool();
  readonly #idleStacks: PrivateStack[] = [];
  #stackCount = 0;
  #busyConnections = 0;
  #retired: ReplicaError | undefined;

  constructor(build: SqliteBuild, heapBytesMax: number) {
    this.sqlite = build.instantiate();
    this.heapBytesMax = heapBytesMax;
  }

  get isRetired(): boolean {
    return this.#retired !== undefined;
  }

  get stackCount(): number {
    return this.#stackCount;
  }

  /** The most that any idle stack was ever used, in bytes; looks at each byte of it. */
  deepestStackBytes(): number {
    return Math.max(0, ...this.#idleStacks.map((stack) => this.sqlite.stackBytesUsed(stack)));
  }

  get busyConnections(): number {
    return this.#busyConnections;
  }

  takeStack(): PrivateStack {
    const idle = this.#idleStacks.pop();
    if (idle !== undefined) return idle;
    const stack = this.sqlite.createStack();
    this.#stackCount++;
    return stack;
  }

  /** Takes a stack back; one that has overflowed ends the instance. */
  giveStack(stack: PrivateStack): void {
    if (this.isRetired) return;
    if (!this.sqlite.isStackIntact(stack)) {
      throw this.retire(new Error("a query's private stack has overflowed"));
    }
    this.#idleStacks.push(stack);
  }

  connectionTaken(): void {
    this.#busyConnections++;
  }

  /** Takes a connection back; one whose statement failed in mid-read is closed. */
  giveConnection(connection: Connection | undefined, isReusable: boolean): void {
    this.#busyConnections--;
    if (connection === undefined || this.isRetired) return;
    connection.serve(undefined);
    if (isReusable) this.pool.give(connection);
    else connection.close();
  }

  /**
   * Gives the instance up: no address in it can be trusted. Its suspended queries fail when they
   * would go on.
   *
   * @returns The error for the query that found it.
   */
  retire(cause: unknown): ReplicaError {
    this.#retired ??= new ReplicaError(
      "ENGINE_FAILED",
      "the SQLite engine failed and was replaced; try again",
      { cause },
    );
    this.sqlite.retire(this.#retired);
    return this.#retired;
  }

  throwIfRetired(): void {
    if (this.#retired !== undefined) throw this.#retired;
  }
}
