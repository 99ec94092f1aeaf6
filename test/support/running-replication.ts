/** A replication that runs in this process, with what it tells, and what its replica restores to. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { restoreDatabase } from "../../replicator/restore/restore-database.ts";
import type { ReplicationEvent } from "../../replicator/sync/events.ts";
import type { ReplicationOptions } from "../../replicator/sync/replication-options.ts";
import type { ReplicationState } from "../../replicator/sync/replication-options.ts";
import { Replication } from "../../replicator/sync/sync-loop.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { listLtxFiles } from "../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { RestoreTarget } from "../../shared/replica/restore-plan.ts";
import { contentOf } from "./database-equality.ts";

type Named<Name extends ReplicationEvent["event"]> = ReplicationEvent & { readonly event: Name };

export class RunningReplication implements AsyncDisposable {
  readonly events: ReplicationEvent[] = [];
  readonly #stop = new AbortController();
  #replication: Replication | undefined;
  #running: Promise<ReplicationState> | undefined;
  #watchers: (() => void)[] = [];

  /** Starts and runs; level 0 only. */
  static async start(options: ReplicationOptions): Promise<RunningReplication> {
    const running = new RunningReplication();
    running.#replication = await Replication.start({
      levelIntervalsMs: [],
      ...options,
      onEvent: (event) => {
        running.events.push(event);
        options.onEvent?.(event);
        for (const watch of running.#watchers.splice(0)) watch();
      },
    });
    running.#running = running.#replication.run(running.#stop.signal);
    running.#running.catch(() => undefined);
    return running;
  }

  get state(): ReplicationState {
    return this.#replication!.state;
  }

  /** Ships all that is committed, and waits until it is in the store. */
  async sync(): Promise<Txid | undefined> {
    return await this.#replication!.sync(AbortSignal.timeout(25_000));
  }

  /** Resolves with the first event of that name from the `since`-th event on. */
  async until<Name extends ReplicationEvent["event"]>(name: Name, since = 0): Promise<Named<Name>> {
    for (;;) {
      const found = this.events.slice(since).find((event) => event.event === name);
      if (found) return found as Named<Name>;
      await new Promise<void>((resolve) => this.#watchers.push(resolve));
    }
  }

  /** How it ends by itself: the error, where one ends it. */
  async ended(): Promise<ReplicationState> {
    return await this.#running!;
  }

  /** Ends as Ctrl-C does. */
  async stop(): Promise<ReplicationState> {
    this.#stop.abort();
    return await this.#running!;
  }

  /** Ends it however it stands. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running?.catch(() => undefined);
    this.#replication?.close();
    this.#replication = undefined;
  }
}

/** What the replica restores to, by default its newest state: every table's rows. */
export async function restoredContent(
  replica: Replica,
  target: RestoreTarget = { kind: "latest" },
): Promise<ReturnType<typeof contentOf>> {
  const folder = mkdtempSync(join(tmpdir(), "eddy-restored-"));
  const output = join(folder, "restored.db");
  try {
    const options = { output, integrityCheck: "full", force: false } as const;
    await restoreDatabase(replica, { ...options, target });
    return contentOf(output);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The TXIDs at level 0, as the store lists them. */
export async function storedTxids(replica: Replica): Promise<Txid[]> {
  const files = await Array.fromAsync(listLtxFiles(replica, { level: 0 }));
  return files.map(({ maxTxid }) => maxTxid);
}
