import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { ReplicationEvent } from "../../replicator/sync/events.ts";
import type { ReplicatorLife } from "./contender.ts";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const CLI = at("../../replicator/cli.ts");
const WITH_LEVELS = at("./replicator-with-levels.ts");
const STEPPING_CLOCK = at("./stepping-clock.ts");

/** What a replicator with levels answers when it was asked to sync. */
export interface SyncAnswer {
  readonly sync: number;
  /** Undefined when it ended before that, or there was nothing to ship. */
  readonly txid: string | undefined;
}

export interface ReplicatorOptions {
  readonly databasePath: string;
  readonly url: string;
  readonly env: Readonly<Record<string, string>>;
  readonly syncIntervalMs: number;
  /** Levels 1 to 3 are written so often; undefined: the command line, whose intervals are Litestream's. */
  readonly levelIntervalsMs: readonly number[] | undefined;
  /** `AFTER_MS:STEP_MS,…`; empty: the clock does not step. */
  readonly clock: string;
}

/** How a replicator ended that was not made to. */
export interface OwnEnd {
  readonly status: number | null;
  readonly errors: string;
}

/** One life of the replicator's process. */
export class Replicator implements ReplicatorLife {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  readonly events: ReplicationEvent[] = [];
  #errors = "";
  #uploaded = 0n;
  #isToEnd = false;
  #syncs = 0;
  #onEvent: () => void = () => undefined;

  constructor({ databasePath, url, env, clock, ...options }: ReplicatorOptions) {
    const { syncIntervalMs, levelIntervalsMs } = options;
    const program = levelIntervalsMs
      ? [WITH_LEVELS, databasePath, url, String(syncIntervalMs), ...levelIntervalsMs.map(String)]
      : [CLI, "replicate", databasePath, url, "--json", "--sync-interval", `${syncIntervalMs}ms`];
    const preload = clock === "" ? [] : ["--import", STEPPING_CLOCK];
    this.#child = spawn(process.execPath, [...preload, ...program], {
      env: { ...process.env, ...env, EDDY_TORTURE_CLOCK: clock },
      stdio: ["ignore", "pipe", "pipe", ...(levelIntervalsMs ? ["ipc" as const] : [])],
    });
    this.#closed = once(this.#child, "close");
    this.#child.stderr?.on("data", (chunk: Buffer) => (this.#errors += chunk.toString()));
    createInterface({ input: this.#child.stdout! }).on("line", (line) => this.#read(line));
    void this.#closed.then(() => this.#onEvent());
  }

  /** The newest TXID that it said is in the store; 0 before that. */
  get uploaded(): bigint {
    return this.#uploaded;
  }

  /** What it printed besides its events. */
  get errors(): string {
    return this.#errors;
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Undefined while it runs, and when we ended it. */
  get ownEnd(): OwnEnd | undefined {
    if (this.isRunning || this.#isToEnd) return undefined;
    return { status: this.#child.exitCode, errors: this.#errors };
  }

  /** Settles at the first event that fits, when the process ends, or after `timeoutMs`. */
  async until(fits: () => boolean, timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (!fits() && this.isRunning && performance.now() < endMs) {
      const next = Promise.withResolvers<void>();
      const timer = setTimeout(next.resolve, endMs - performance.now());
      this.#onEvent = next.resolve;
      await next.promise;
      clearTimeout(timer);
    }
  }

  /**
   * Answers the TXID that holds all that was committed when it was called, and is in the store. Undefined when that cannot be
   * had in `timeoutMs`, or this one takes no requests.
   */
  async sync(timeoutMs: number): Promise<bigint | undefined> {
    if (!this.#child.connected) return undefined;
    const sync = ++this.#syncs;
    const answered = Promise.withResolvers<bigint | undefined>();
    const onMessage = (answer: SyncAnswer) => {
      if (answer.sync !== sync) return;
      answered.resolve(answer.txid === undefined ? undefined : BigInt(`0x${answer.txid}`));
    };
    const giveUp = () => answered.resolve(undefined);
    const timer = setTimeout(giveUp, timeoutMs);
    this.#child.on("message", onMessage);
    this.#child.once("close", giveUp);
    this.#child.send({ sync }, (error) => error && giveUp());
    const txid = await answered.promise;
    clearTimeout(timer);
    this.#child.off("message", onMessage);
    return txid;
  }

  /** Ends it, at once or as Ctrl-C would, and waits until it is gone. */
  async end(signal: "SIGKILL" | "SIGTERM", patienceMs = 4_000): Promise<number | null> {
    if (this.isRunning) {
      this.#isToEnd = true;
      this.#child.kill(signal);
    }
    // What is left may take its time when the store does not answer.
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), patienceMs);
    await this.#closed;
    clearTimeout(timer);
    return this.#child.exitCode;
  }

  #read(line: string): void {
    let event: ReplicationEvent;
    try {
      event = JSON.parse(line) as ReplicationEvent;
    } catch {
      // The end of a process in the middle of a line.
      return;
    }
    if ("error" in event) {
      this.#errors += `${line}\n`;
      return;
    }
    this.events.push(event);
    if (event.event === "uploaded") this.#uploaded = BigInt(`0x${event.txid}`);
    this.#onEvent();
  }
}
