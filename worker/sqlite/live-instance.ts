import { ReplicaError } from "../../shared/errors.ts";
import type { PrivateStack, SqliteBuild, SqliteInstance } from "./build.ts";
import type { Connection } from "./connection.ts";
import { ConnectionPool } from "./connection-pool.ts";

/** What one query had of an instance. */
interface Lent {
  readonly connection: Connection | undefined;
  /** Its last statement ended in order, with rows or an error, so it may serve another query. */
  readonly isReusable: boolean;
  readonly stack: PrivateStack | undefined;
}

/** One instance of SQLite with what belongs to it: stacks, connections, and whether it still lives. */
export class LiveInstance {
  readonly build: SqliteBuild;
  readonly sqlite: SqliteInstance;
  readonly heapBytesMax: number;
  readonly pool = new ConnectionPool();
  readonly #idleStacks: PrivateStack[] = [];
  #stackCount = 0;
  #busyConnections = 0;
  #retired: ReplicaError | undefined;

  /** @param mayGrowTo Asked before the wasm memory grows to so many bytes. */
  constructor(
    build: SqliteBuild,
    heapBytesMax: number,
    mayGrowTo: (bytes: number) => boolean = () => true,
  ) {
    this.build = build;
    this.sqlite = build.instantiate(mayGrowTo);
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

  connectionTaken(): void {
    this.#busyConnections++;
  }

  /**
   * Takes back what a query had. A connection that was cut off in mid-read is closed; a stack that has
   * overflowed ends the instance.
   *
   * @throws {ReplicaError} `ENGINE_FAILED` when that happens.
   */
  giveBack({ connection, isReusable, stack }: Lent): void {
    this.#busyConnections--;
    if (this.isRetired) return;
    try {
      connection?.serve(undefined);
      if (isReusable && connection !== undefined) this.pool.give(connection);
      else connection?.close();
    } catch (error) {
      throw this.retire(error);
    }
    if (stack === undefined) return;
    if (!this.sqlite.isStackIntact(stack)) {
      throw this.retire(new Error("a query's private stack has overflowed"));
    }
    this.#idleStacks.push(stack);
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
