import type { Connection } from "./connection.ts";

/** Idle connections that are kept; each holds a schema and at most some 300 KB of pages. */
const IDLE_MAX = 8;

/** Connections that nobody uses now, by the database and TXID that they are open on. */
export class ConnectionPool {
  /** Oldest first. */
  readonly #idle: Connection[] = [];

  get idleCount(): number {
    return this.#idle.length;
  }

  /** A connection to this source, which the caller now owns; undefined where none is idle. */
  take(sourceKey: string): Connection | undefined {
    const index = this.#idle.findLastIndex((connection) => connection.sourceKey === sourceKey);
    return index < 0 ? undefined : this.#idle.splice(index, 1)[0];
  }

  /** Keeps a connection for the next query, and closes the oldest where there are too many. */
  give(connection: Connection): void {
    this.#idle.push(connection);
    if (this.#idle.length > IDLE_MAX) this.#idle.shift()?.close();
  }

  /** Closes them all, and so gives their memory back to the queries that run. */
  closeAll(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }
}
