/** Child processes that must not outlive the command that started them. */
import { spawn, type ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { ReplicaError } from "../shared/errors.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const STOP_TIMEOUT_MS = 10_000;

export interface Child {
  readonly name: string;
  /** Settles when the process has ended: its exit code, or the signal that ended it. */
  readonly exited: Promise<number | NodeJS.Signals>;
  /** Asks the process to end with `signal`, and makes it end when it does not. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface ChildOptions {
  readonly name: string;
  /** A TypeScript file of this repository, from its root. */
  readonly script: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly onLine?: (line: string) => void;
  /** What it prints as errors goes to this process's own. */
  readonly inheritErrors?: boolean;
}

/** Starts one of the repository's own scripts under the same Node. */
export function startChild(options: ChildOptions): Child {
  const { name, script, args, env, onLine, inheritErrors = true } = options;
  const child = spawn(process.execPath, [`${root}/${script}`, ...args], {
    env: { ...process.env, ...env },
    // Its own process group: a Ctrl-C reaches only the parent, which stops its children in order.
    detached: true,
    stdio: ["ignore", "pipe", inheritErrors ? "inherit" : "ignore", "ipc"],
  });
  if (onLine) followLines(child, onLine);
  else child.stdout?.resume();
  const exited = new Promise<number | NodeJS.Signals>((resolve, reject) => {
    child.once("exit", (code, signal) => resolve(code ?? signal ?? 1));
    child.once("error", (cause) => {
      reject(new ReplicaError("LOCAL_FILE", `cannot start ${name}: ${cause.message}`, { cause }));
    });
  });
  const stop = async (signal: NodeJS.Signals = "SIGTERM") => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  };
  return { name, exited, stop };
}

function followLines(child: ChildProcess, onLine: (line: string) => void): void {
  let rest = "";
  child.stdout?.setEncoding("utf8");
  child.stdout?.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
}
