import assert from "node:assert/strict";
import type { ReplicationEvent } from "../../replicator/sync/events.ts";
import { restoreDatabase } from "../../replicator/restore/restore-database.ts";
import { openReplica } from "../../replicator/storage/open-store.ts";
import { toTxid } from "../../shared/ltx/txid.ts";
import { eddy } from "../support/eddy-cli.ts";
import { litestreamAsync } from "../support/litestream.ts";
import { LitestreamReplicator } from "./litestream-replicator.ts";
import { Replicator, type OwnEnd, type ReplicatorOptions } from "./replicator.ts";

const LATEST = { kind: "latest" } as const;

/** Who is tortured. */
export type Contender = "eddy" | "litestream";

/** A replicator's process, from its start to its end. */
export interface ReplicatorLife {
  /** What it told; nothing where it tells nothing that can be read. */
  readonly events: readonly ReplicationEvent[];
  /** The newest TXID that it said is in the store; 0 before that. */
  readonly uploaded: bigint;
  readonly errors: string;
  readonly isRunning: boolean;
  /** Undefined while it runs, and when we ended it. */
  readonly ownEnd: OwnEnd | undefined;
  until(fits: () => boolean, timeoutMs: number): Promise<void>;
  sync(timeoutMs: number): Promise<bigint | undefined>;
  /** Makes it end: at once, or as Ctrl-C does, and at once after `patienceMs`. Answers its exit code. */
  end(signal: "SIGKILL" | "SIGTERM", patienceMs?: number): Promise<number | null>;
}

export function startReplicator(contender: Contender, options: ReplicatorOptions): ReplicatorLife {
  return contender === "eddy" ? new Replicator(options) : new LitestreamReplicator(options);
}

export interface RestoreOptions {
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
  readonly path: string;
  /** Undefined: the latest. */
  readonly txid?: bigint | undefined;
  /** Ours: by the command line, or by what is behind it, which takes a process less. */
  readonly byCommand: boolean;
}

/** Restores as the contender does; answers the TXID. */
export async function restoreWith(
  contender: Contender,
  { url, env, path, txid, byCommand }: RestoreOptions,
): Promise<bigint> {
  const hex = txid?.toString(16).padStart(16, "0");
  if (contender === "litestream") {
    const at = hex === undefined ? [] : ["-txid", hex];
    const { status, output } = await litestreamAsync(["restore", ...at, "-o", path, url], env);
    assert.equal(status, 0, `litestream restore failed: ${output}`);
    return txid ?? 0n;
  }
  if (!byCommand) {
    const replica = openReplica(url, { env, writing: false });
    const target = txid === undefined ? LATEST : { kind: "txid" as const, txid: toTxid(txid) };
    const options = { output: path, target, integrityCheck: "none" as const, force: false };
    return (await restoreDatabase(replica, options)).txid;
  }
  const at = hex === undefined ? [] : ["--txid", hex];
  const args = ["restore", url, "-o", path, "--integrity-check", "full", "--json", ...at];
  const { status, stdout, stderr } = await eddy(args, env);
  assert.equal(status, 0, `eddy restore failed: ${stdout}${stderr}`);
  const answered = BigInt(`0x${(JSON.parse(stdout) as { txid: string }).txid}`);
  if (txid !== undefined) assert.equal(answered, txid);
  return answered;
}
