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

const TIMEOUT_SECONDS = 30;

interface RegisterFlags extends ControlFlags {
  readonly replica: string;
}

interface UnregisterFlags extends ControlFlags {
  readonly dryRun?: boolean;
}

/** Makes `eddy start`, `stop`, `register` and `unregister` known to the command line. */
export function addMembership(program: Command, signal: AbortSignal): void {
  const start = program
    .command("start")
    .description("have a running replicator go on with a database that it stopped")
    .argument("<database>", "the SQLite file");
  addControlOptions(start, TIMEOUT_SECONDS).action((database: string, flags: ControlFlags) =>
    changeCommand("start", database, flags, signal),
  );
  const stop = program
    .command("stop")
    .description("have a running replicator ship what is left of a database, and let go of it")
    .argument("<database>", "the SQLite file");
  addControlOptions(stop, TIMEOUT_SECONDS).action((database: string, flags: ControlFlags) =>
    changeCommand("stop", database, flags, signal),
  );
  const register = program
    .command("register")
    .description("have a running replicator take on one more database")
    .argument("<database>", "the SQLite file")
    .requiredOption("--replica <url>", "where it is replicated to");
  addControlOptions(register, TIMEOUT_SECONDS)
    .addHelpText(
      "after",
      `
The replicator's own credentials are used. It forgets the database when it ends: what it is to
replicate always belongs into its configuration.

Example:
  eddy register /data/tenant-7.db --replica r2://ACCOUNT_ID/eddy/tenant-7.db`,
    )
    .action((database: string, flags: RegisterFlags) => registerCommand(database, flags, signal));
  const unregister = program
    .command("unregister")
    .description("have a running replicator ship what is left of a database, and forget it")
    .argument("<database>", "the SQLite file")
    .option("--dry-run", "say what would be done, and ask nothing of the replicator");
  addControlOptions(unregister, TIMEOUT_SECONDS).action(
    (database: string, flags: UnregisterFlags) => unregisterCommand(database, flags, signal),
  );
}

/** `eddy start DB` and `eddy stop DB`. JSON as Litestream's. */
async function changeCommand(
  verb: "start" | "stop",
  database: string,
  flags: ControlFlags,
  signal: AbortSignal,
): Promise<void> {
  const call = { path: `/${verb}`, body: { path: absolute(database) } };
  const reply = await ask(call, flags, signal);
  const change = {
    status: textOf(reply, "status"),
    db_path: textOf(reply, "path"),
    state: verb === "start" ? "running" : "stopped",
    txid: numberOf(reply, "txid"),
    socket: flags.socket,
  };
  if (flags.json) return printJson(change);
  printLine(`${change.db_path}: ${inWords(change.status)}${atTxid(change.txid)}`);
}

/** `eddy register DB --replica URL`. JSON as Litestream's. */
async function registerCommand(
  database: string,
  flags: RegisterFlags,
  signal: AbortSignal,
): Promise<void> {
  const body = { path: absolute(database), replica_url: flags.replica };
  const reply = await ask({ path: "/register", body }, flags, signal);
  const [status, path] = [textOf(reply, "status"), textOf(reply, "path")];
  if (flags.json) {
    return printJson({ status, db_path: path, replica: flags.replica, socket: flags.socket });
  }
  printLine(`${path}: ${inWords(status)}, replicated to ${flags.replica}`);
}

/** `eddy unregister DB`. JSON as Litestream's. */
async function unregisterCommand(
  database: string,
  flags: UnregisterFlags,
  signal: AbortSignal,
): Promise<void> {
  const path = absolute(database);
  if (flags.dryRun) {
    if (flags.json) return printJson({ db_path: path, dry_run: true, socket: flags.socket });
    return printLine(
      `would ask ${flags.socket} to ship what is left of ${path} and forget it; its replica stays as it is`,
    );
  }
  const reply = await ask({ path: "/unregister", body: { path } }, flags, signal);
  const status = textOf(reply, "status");
  const txid = numberOf(reply, "txid");
  if (flags.json) {
    return printJson({ status, db_path: path, final_txid: txid, socket: flags.socket });
  }
  printLine(`${path}: ${inWords(status)}${atTxid(txid)}; its replica stays as it is`);
}

function inWords(status: string): string {
  return status.replaceAll("_", " ");
}

function atTxid(txid: number): string {
  return txid === 0 ? "" : ` at TXID ${hexOf(txid)}`;
}
