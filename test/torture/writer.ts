import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { setTimeout as delay } from "node:timers/promises";
import type { LedgerRow } from "./state-digest.ts";

const PROGRAM = fileURLToPath(new URL("./writer-process.ts", import.meta.url));

/** However many commits are waited for. */
const COMMITS_MS_MAX = 1_500;

export interface WriterOptions {
  readonly seed: number;
  readonly pageSize: number;
  /** 0 none, 1 full, 2 incremental. */
  readonly autoVacuum: number;
  /** Pages that SQLite keeps in memory: with few it writes to the log before it commits. */
  readonly cachePages: number;
  /** It rests up to so long after each transaction, in milliseconds. */
  readonly restMs: number;
}

export type WriterRequest = "write" | "pause" | "end";

export type WriterReport = (LedgerRow & { readonly kind: "commit" }) | { readonly kind: "paused" };

/** The application: a process that writes at random, and tells what it committed. */
export class Writer {
  readonly #path: string;
  readonly #options: WriterOptions;
  readonly #digests = new Map<number, string>();
  #child: ChildProcess | undefined;
  #incarnation = 0;
  #commit = 0;
  #failure = "";

  constructor(path: string, options: WriterOptions) {
    this.#path = path;
    this.#options = options;
  }

  /** The newest commit that it told of. */
  get commit(): number {
    return this.#commit;
  }

  /** Digest of a commit; undefined when the writer was killed before it could tell. */
  digestOf(commit: number): string | undefined {
    return this.#digests.get(commit);
  }

  /** Starts the process, or another one after it was killed; it waits to be told to write. */
  async start(): Promise<void> {
    const seed = this.#options.seed + 7_919 * this.#incarnation++;
    const options = { ...this.#options, seed };
    const child = fork(PROGRAM, [this.#path, JSON.stringify(options)], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    this.#child = child;
    child.stderr?.on("data", (chunk: Buffer) => (this.#failure += chunk.toString()));
    child.on("message", (report: WriterReport) => {
      if (report.kind !== "commit") return;
      this.#digests.set(report.commit, report.digest);
      this.#commit = report.commit;
    });
    await this.#paused(child);
  }

  write(): void {
    this.#send("write");
  }

  /** Settles when no transaction is open and none will be begun. */
  async pause(): Promise<void> {
    const paused = this.#paused(this.#child!);
    this.#send("pause");
    await paused;
  }

  /** Settles when it has told of `commit`, or after a while. */
  async untilCommit(commit: number): Promise<void> {
    const endMs = performance.now() + COMMITS_MS_MAX;
    while (this.#commit < commit && performance.now() < endMs) await delay(5);
  }

  async kill(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, "close");
    child.kill("SIGKILL");
    await closed;
  }

  /** Lets it close its connections and end. */
  async end(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const closed = once(child, "close");
    this.#send("end");
    await closed;
  }

  #send(request: WriterRequest): void {
    this.#child?.send(request, () => undefined);
  }

  async #paused(child: ChildProcess): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const onMessage = (report: WriterReport) => {
        if (report.kind === "paused") settle(resolve);
      };
      const onClose = () =>
        settle(() => reject(new Error(`the writer ended by itself: ${this.#failure}`)));
      const settle = (then: () => void) => {
        child.off("message", onMessage);
        child.off("close", onClose);
        then();
      };
      child.on("message", onMessage);
      child.on("close", onClose);
      if (child.exitCode !== null || child.signalCode !== null) onClose();
    });
  }
}
