import { formatTxid } from "../../shared/ltx/txid.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { BundleKeeper } from "../bundle/bundle-keeper.ts";
import { watchFiles } from "../bundle/watch-files.ts";
import type { ReplicationEvent } from "./events.ts";
import type { Lease } from "./lease.ts";
import type { Staging } from "./staging.ts";
import { underLease } from "./under-lease.ts";

interface Context {
  readonly replica: Replica;
  readonly lease: Lease | undefined;
  readonly staging: Staging;
  readonly onEvent: (event: ReplicationEvent) => void;
  readonly now: () => number;
}

/** A keeper of the replica's edge bundle, and the replica through which it sees what becomes of the files. */
export function keepBundle(
  isWanted: boolean | undefined,
  { replica, lease, staging, onEvent, now }: Context,
): { readonly replica: Replica; readonly bundle: BundleKeeper | undefined } {
  if (isWanted !== true) return { replica, bundle: undefined };
  const bundle = new BundleKeeper({
    replica: underLease(replica, lease),
    localPath: ({ level, minTxid }) => (level === 0 ? staging.pathOf(minTxid) : undefined),
    now,
    onWritten: ({ kind, txid, headBytes }) =>
      onEvent({
        event: "bundle-written",
        txid: formatTxid(txid),
        base: kind !== "head",
        head_bytes: headBytes,
      }),
    onFailed: ({ message }, retryMs) =>
      onEvent({ event: "bundle-failed", message, retry_ms: retryMs }),
  });
  return { replica: watchFiles(replica, bundle), bundle };
}
