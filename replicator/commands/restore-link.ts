import { formatTxid } from "../../shared/ltx/txid.ts";
import { downloadDatabase } from "../download/download-database.ts";
import { withoutQuery } from "../download/link-source.ts";
import { describeUnchecked } from "../restore/check-integrity.ts";
import type { RestoreOptions } from "../restore/restore-database.ts";
import { printJson, printLine, usageError } from "../terminal/output.ts";
import { megabytes } from "../terminal/progress.ts";
import type { RestoreFlags } from "./restore-flags.ts";

/** Says whether a URL is a restore link: what a Worker serves, and no replica. */
export function isRestoreLink(url: string): boolean {
  return /^https?:\/\//i.test(url);
}

/** `eddy restore https://…`: the database file that a Worker serves, in ranges side by side. */
export async function restoreLinkCommand(
  link: string,
  options: RestoreOptions & { readonly onRestored: () => void },
  flags: RestoreFlags,
): Promise<void> {
  if (flags.txid !== undefined || flags.timestamp !== undefined) {
    throw usageError("a restore link names its moment itself: leave --txid and --timestamp out");
  }
  if (flags.follow || flags.dryRun) {
    throw usageError("--follow and --dry-run read LTX files: name the replica, not a restore link");
  }
  if (!URL.canParse(link)) throw usageError(`"${link}" is no URL`);
  const url = new URL(link);
  const startedMs = performance.now();
  const { onRestored, ...rest } = options;
  const result = await downloadDatabase({ ...rest, url, token: tokenFor(url) });
  onRestored();
  const durationMs = Math.round(performance.now() - startedMs);
  const { txid, timestampMs, exact, sizeBytes, resumedBytes, unchecked } = result;
  const timestamp = timestampMs === undefined ? null : new Date(timestampMs).toISOString();
  if (flags.json) {
    printJson({
      db_path: options.output,
      replica: withoutQuery(url),
      txid: txid === undefined ? null : formatTxid(txid),
      timestamp,
      exact,
      size_bytes: sizeBytes,
      resumed_bytes: resumedBytes,
      duration_ms: durationMs,
      integrity_check: options.integrityCheck,
      unchecked_tables: unchecked,
    });
    return;
  }
  const at = txid === undefined ? "" : ` at TXID ${formatTxid(txid)}, ${timestamp}`;
  const resumed =
    resumedBytes === 0 ? "" : `, ${megabytes(resumedBytes)} MB of them by an earlier run`;
  printLine(
    `downloaded ${options.output}${at}: ${megabytes(sizeBytes)} MB in ${durationMs} ms${resumed}${describeUnchecked(unchecked)}`,
  );
}

/** The token is sent where nobody on the way can read it. */
function tokenFor(url: URL): string | undefined {
  const token = process.env["EDDY_TOKEN"];
  const isLocal = /^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname);
  if (token !== undefined && url.protocol !== "https:" && !isLocal) {
    throw usageError(`EDDY_TOKEN would go to ${url.host} in the clear: use https`);
  }
  return token;
}
