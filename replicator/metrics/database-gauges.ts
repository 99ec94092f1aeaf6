import { statSync } from "node:fs";
import { Gauge, type Registry } from "prom-client";
import type { ControlledDatabase } from "../control/controlled-database.ts";
import { realPath } from "../files/real-path.ts";

/** What is read off a database when somebody asks for the metrics. */
interface GaugeDefinition {
  readonly name: string;
  readonly help: string;
  /** Undefined: there is no such value now. */
  readonly read: (database: ControlledDatabase) => number | undefined;
}

/** The first three are Litestream's. */
const GAUGES: readonly GaugeDefinition[] = [
  {
    name: "litestream_db_size",
    help: "The current size of the real DB",
    read: ({ path }) => fileBytes(path),
  },
  {
    name: "litestream_wal_size",
    help: "The current size of the real WAL",
    read: ({ path }) => fileBytes(`${realPath(path)}-wal`),
  },
  {
    name: "litestream_txid",
    help: "The current transaction ID",
    read: ({ state }) => Number(state.txid ?? 0n),
  },
  {
    name: "eddy_uploaded_txid",
    help: "The newest transaction ID that is safely in the store",
    read: ({ state }) => Number(state.uploaded ?? 0n),
  },
  {
    name: "eddy_waiting_files",
    help: "LTX files that are staged and not in the store",
    read: ({ state }) => state.waiting,
  },
  {
    name: "eddy_replicating",
    help: "1 while the database is replicated, 0 while it is stopped",
    read: ({ status }) => (status === "stopped" ? 0 : 1),
  },
  {
    name: "eddy_last_sync_timestamp_seconds",
    help: "When all that was committed was last found in the store, in seconds since the epoch",
    read: ({ lastSyncAtMs }) => lastSyncAtMs && lastSyncAtMs / 1_000,
  },
];

/** Adds the gauges that are read off the databases; what is no longer replicated is no longer shown. */
export function addDatabaseGauges(
  registry: Registry,
  databases: () => readonly ControlledDatabase[],
): void {
  for (const { name, help, read } of GAUGES) {
    void new Gauge({
      name,
      help,
      labelNames: ["db"],
      registers: [registry],
      collect() {
        this.reset();
        for (const database of databases()) {
          const value = read(database);
          if (value !== undefined) this.set({ db: database.path }, value);
        }
      },
    });
  }
}

/** Asked of the folder: opening and closing the file would drop this process' locks on it. */
function fileBytes(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
