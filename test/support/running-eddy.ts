/** The command line as a process that goes on: what it has printed can be waited for, and signals sent to it. */
import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { CliResult } from "./eddy-cli.ts";

const CLI = fileURLToPath(new URL("../../replicator/cli.ts", import.meta.url));

export class RunningEddy implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<CliResult>;
  readonly #listeners = new Set<() => void>();
  #stdout = "";
  #stderr = "";

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
    this.#child = spawn(process.execPath, [CLI, ...args], {
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said = () => {
      for (const listener of this.#listeners) listener();
    };
    this.#child.stdout?.on("data", (chunk: Buffer) => {
      this.#stdout += chunk.toString();
      said();
    });
    this.#child.stderr?.on("data", (chunk: Buffer) => {
      this.#stderr += chunk.toString();
      said();
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once("close", (status) => {
        resolve({ status, stdout: this.#stdout, stderr: this.#stderr });
        said();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Resolves when it has printed `text`; fails when it ends without. */
  async until(text: string): Promise<void> {
    while (!`${this.#stdout}${this.#stderr}`.includes(text)) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        const { stdout, stderr } = await this.#ended;
        if (`${stdout}${stderr}`.includes(text)) return;
        throw new Error(`it ended without "${text}":\n${stdout}\n${stderr}`);
      }
      const next = Promise.withResolvers<void>();
      this.#listeners.add(next.resolve);
      await next.promise;
      this.#listeners.delete(next.resolve);
    }
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  async result(): Promise<CliResult> {
    return await this.#ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended;
  }
}
