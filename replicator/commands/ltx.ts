import { ReplicaError } from "../../shared/errors.ts";
import { LEVEL_MAX } from "../../shared/limits.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { listLtxFiles } from "../../shared/replica/list-ltx-files.ts";
import { printJson, printLine, usageError } from "../terminal/output.ts";
import type { Command } from "commander";
import type { ConfigFlags } from "../config/command-line.ts";
import { addConfigOptions, namedReplica } from "./replica-argument.ts";

/** Options of `eddy ltx` as the command line gives them. */
interface LtxFlags extends ConfigFlags {
  readonly level: string;
  readonly json?: boolean;
}

/** Makes `eddy ltx` known to the command line. */
export function addLtx(program: Command, signal: AbortSignal): void {
  const command = program
    .command("ltx")
    .description("list the LTX files of a replica")
    .argument("<url>", "the replica's URL, or a database of the configuration")
    .option("--level <level>", "0 to 9, or all", "0")
    .option("--json", "print them as JSON");
  addConfigOptions(command)
    .addHelpText("after", `\nExample:\n  eddy ltx r2://ACCOUNT_ID/eddy/app.db --level all`)
    .action((name: string, flags: LtxFlags) => ltxCommand(name, flags, signal));
}

/** `eddy ltx URL` or `eddy ltx DB`: the LTX files of a replica, level by level. JSON as Litestream's `ltx -json`. */
async function ltxCommand(name: string, flags: LtxFlags, signal: AbortSignal): Promise<void> {
  const levels = levelsOf(flags.level);
  const { url, open } = await namedReplica(name, flags);
  const replica = open({ writing: false, signal });
  const rows: Record<"level" | "min_txid" | "max_txid" | "size" | "timestamp", string | number>[] =
    [];
  for (const level of levels) {
    for await (const file of listLtxFiles(replica, { level, signal })) {
      rows.push({
        level,
        min_txid: formatTxid(file.minTxid),
        max_txid: formatTxid(file.maxTxid),
        size: file.sizeBytes,
        timestamp: new Date(file.createdAtMs).toISOString(),
      });
    }
  }
  if (rows.length === 0) {
    throw new ReplicaError("DB_NOT_FOUND", `${url} holds no LTX file at level ${flags.level}`);
  }
  if (flags.json) return printJson(rows);
  printLine("level  min_txid          max_txid          size          created");
  for (const { level, min_txid, max_txid, size, timestamp } of rows) {
    printLine(
      `${String(level).padEnd(6)} ${min_txid}  ${max_txid}  ${String(size).padEnd(12)}  ${timestamp}`,
    );
  }
}

function levelsOf(text: string): number[] {
  if (text === "all") return Array.from({ length: LEVEL_MAX + 1 }, (_, level) => level);
  if (/^\d$/.test(text)) return [Number(text)];
  throw usageError(`--level is 0 to ${LEVEL_MAX}, or all; not "${text}"`);
}
