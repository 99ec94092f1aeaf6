import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { peerBinary } from "../support/litestream.ts";
import type { ReplicatorLife } from "./contender.ts";
import type { OwnEnd, ReplicatorOptions } from "./replicator.ts";

/** The real Litestream in the place of ours. It tells nothing of its TXIDs. */
export class LitestreamReplicator implements ReplicatorLife {
  readonly events = [];
  readonly uploaded = 0n;
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #isToEnd = false;
  errors = "";

  constructor({ databasePath, url, env, syncIntervalMs, levelIntervalsMs }: ReplicatorOptions) {
    const interval = `${Math.max(10, syncIntervalMs)}ms`;
    const config = join(dirname(databasePath), "litestream.json");
    const levels = levelIntervalsMs?.map((ms) => ({ interval: `${ms}ms` }));
    // JSON is YAML.
    writeFileSync(
      config,
      JSON.stringify({
        ...(levels && { levels }),
        dbs: [
          {
            path: databasePath,
            "monitor-interval": interval,
            replica: { url, "sync-interval": interval },
          },
        ],
      }),
    );
    this.#child = spawn(peerBinary("litestream"), ["replicate", "-config", config], {
      env: { ...process.env, ...env, AWS_CA_BUNDLE: undefined },
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#closed = once(this.#child, "close");
    this.#child.stderr?.on("data", (chunk: Buffer) => (this.errors += chunk.toString()));
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  get ownEnd(): OwnEnd | undefined {
    if (this.isRunning || this.#isToEnd) return undefined;
    return { status: this.#child.exitCode, errors: "" };
  }

  async until(_fits: () => boolean, timeoutMs: number): Promise<void> {
    await Promise.race([this.#closed, delay(Math.min(timeoutMs, 1_500))]);
  }

  async sync(): Promise<undefined> {
    return undefined;
  }

  async end(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    if (this.isRunning) {
      this.#isToEnd = true;
      this.#child.kill(signal);
    }
    await this.#closed;
    return this.#child.exitCode;
  }
}
