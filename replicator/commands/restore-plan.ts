import { basename } from "node:path";
import { formatLtxFileName } from "../../shared/ltx/file-name.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { loadPlan } from "../../shared/replica/load-plan.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { printJson, printLine } from "../terminal/output.ts";
import { megabytes } from "../terminal/progress.ts";
import { targetOf, type RestoreFlags } from "./restore-flags.ts";

/**
 * `eddy restore URL --dry-run`: shows which files would be read. Field names as Litestream's
 * `restore -dry-run -json` has them.
 */
export async function printPlan(
  replica: Replica,
  url: string,
  flags: RestoreFlags,
  signal: AbortSignal,
): Promise<void> {
  const { output, json } = flags;
  const plan = await loadPlan(replica, targetOf(flags), { signal });
  const files = plan.files.map((file) => ({
    level: file.level,
    name: formatLtxFileName(file),
    min_txid: formatTxid(file.minTxid),
    max_txid: formatTxid(file.maxTxid),
    size: file.sizeBytes,
    timestamp: new Date(file.createdAtMs).toISOString(),
  }));
  if (json) {
    printJson({
      source: "ltx",
      target_path: output ?? null,
      replica: url,
      min_txid: files[0]?.min_txid,
      max_txid: formatTxid(plan.txid),
      exact: plan.exact,
      files,
    });
    return;
  }
  for (const { level, name, size, timestamp } of files) {
    printLine(`level ${level}  ${name}  ${String(size).padStart(12)} bytes  ${timestamp}`);
  }
  const bytes = plan.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const into = output === undefined ? "" : ` would make ${basename(output)}`;
  printLine(
    `${files.length} files, ${megabytes(bytes)} MB${into} at TXID ${formatTxid(plan.txid)}`,
  );
}
