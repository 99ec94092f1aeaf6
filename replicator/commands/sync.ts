import { printJson, printLine } from "../terminal/output.ts";
import type { Command } from "commander";
import {
  absolute,
  addControlOptions,
  ask,
  hexOf,
  numberOf,
  textOf,
  type ControlFlags,
} from "./control-options.ts";

interface SyncFlags extends ControlFlags {
  readonly wait?: boolean;
}

/** Makes `eddy sync` known to the command line. */
export function addSync(program: Command, signal: AbortSignal): void {
  const command = program
    .command("sync")
    .description("have a running replicator ship now what is committed")
    .argument("<database>", "the SQLite file")
    .option("--wait", "answer when it is safely in the store");
  addControlOptions(command, 30)
    .addHelpText(
      "after",
      `
Examples:
  eddy sync /data/app.db --wait          # ends when all that is committed now is in the store
  eddy sync /data/app.db --wait --json   # replica_txid: read at this TXID, and see your own writes`,
    )
    .action((database: string, flags: SyncFlags) => syncCommand(database, flags, signal));
}

/** `eddy sync DB`. JSON as Litestream's `sync -json`: TXIDs are decimal numbers there. */
async function syncCommand(database: string, flags: SyncFlags, signal: AbortSignal): Promise<void> {
  const startedMs = performance.now();
  const body = { path: absolute(database), ...(flags.wait && { wait: true }) };
  const reply = await ask({ path: "/sync", body }, flags, signal);
  const path = textOf(reply, "path");
  const txid = numberOf(reply, "txid");
  const replicated = numberOf(reply, "replicated_txid");
  const durationMs = Math.round(performance.now() - startedMs);
  if (flags.json) {
    printJson({
      db_path: path,
      txid,
      ...(flags.wait && { replica_txid: replicated }),
      duration_ms: durationMs,
    });
    return;
  }
  if (txid === 0) return printLine(`${path}: nothing was committed yet`);
  if (flags.wait) {
    return printLine(`${path}: TXID ${hexOf(replicated)} is safely in the store, ${durationMs} ms`);
  }
  const stored = replicated === 0 ? "nothing" : `TXID ${hexOf(replicated)}`;
  printLine(`${path}: TXID ${hexOf(txid)} is staged, ${stored} is in the store`);
}
