import type { Txid } from "../../shared/ltx/txid.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";

/** What a request costs in the time that a transfer takes, as bytes: a few large files beat many small ones. */
const REQUEST_BYTES = 64 * 1024;

/** A TXID that can be reached, and the cheapest way to it. */
interface Reached {
  readonly txid: Txid;
  readonly costBytes: number;
  readonly by: { readonly file: LtxFileInfo; readonly from: Reached } | undefined;
}

/**
 * The cheapest way from a database at `from` to the newest TXID that `files` lead to, in the order in
 * which they apply. Any level will do, snapshots too: a file leads from every TXID at or after the one
 * before its first to its last. Empty where nothing leads on.
 *
 * @param files One replica's listing in any order.
 */
export function planFollow(files: readonly LtxFileInfo[], from: Txid): LtxFileInfo[] {
  const ahead = files.filter(({ maxTxid }) => maxTxid > from).toSorted(byEnd);
  let newest: Reached = { txid: from, costBytes: 0, by: undefined };
  // By ascending TXID and cost: what is no newer than another and costs as much is of no use.
  const useful: Reached[] = [newest];
  for (const file of ahead) {
    const start = firstFrom(useful, file.minTxid - 1n);
    if (!start) continue;
    const costBytes = start.costBytes + file.sizeBytes + REQUEST_BYTES;
    if (newest.txid === file.maxTxid && newest.costBytes <= costBytes) continue;
    newest = { txid: file.maxTxid, costBytes, by: { file, from: start } };
    while ((useful.at(-1)?.costBytes ?? -1) >= costBytes) useful.pop();
    useful.push(newest);
  }
  const plan: LtxFileInfo[] = [];
  for (let { by } = newest; by; by = by.from.by) plan.push(by.file);
  return plan.toReversed();
}

/** The cheapest that is at `txid` or beyond: the first of them, as the later ones cost more. */
function firstFrom(useful: readonly Reached[], txid: bigint): Reached | undefined {
  let [low, high] = [0, useful.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((useful[middle]?.txid ?? 0n) < txid) low = middle + 1;
    else high = middle;
  }
  return useful[low];
}

function byEnd(a: LtxFileInfo, b: LtxFileInfo): number {
  return a.maxTxid < b.maxTxid ? -1 : Number(a.maxTxid > b.maxTxid);
}
