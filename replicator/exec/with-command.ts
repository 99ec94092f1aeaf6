import { spawn, type ChildProcess } from "node:child_process";
import { constants } from "node:os";
import { ReplicaError } from "../../shared/errors.ts";
import { splitCommand } from "./split-command.ts";

/** What does not end by SIGTERM when it is left alone is killed after so long, in milliseconds. */
const GRACE_MS = 10_000;

/**
 * Runs `command` beside `work`: it begins when `work` says so, and its end is the end of `work`. A signal
 * goes to the command, which then ends in its own way.
 *
 * @param signal Fires with the name of the signal that the process got.
 * @param work Goes on until the signal it is given fires.
 * @returns The command's exit code; 128 and the number of the signal that ended it.
 * @throws What `work` throws, after the command was told to end; `BAD_CONFIG` when it cannot be run.
 */
export async function withCommand(
  command: string,
  signal: AbortSignal,
  work: (stop: AbortSignal, begin: () => void) => Promise<void>,
  { graceMs = GRACE_MS }: { readonly graceMs?: number } = {},
): Promise<number> {
  const words = splitCommand(command);
  const stop = new AbortController();
  let child: ChildProcess | undefined;
  let ended: Promise<number> = Promise.resolve(0);
  const killAtExit = () => child?.kill("SIGKILL");
  const passOn = () => {
    if (child) forward(child, String(signal.reason));
    else stop.abort();
  };
  const begin = () => {
    if (signal.aborted || stop.signal.aborted) return;
    const [file, ...parameters] = words;
    child = spawn(file, parameters, { stdio: "inherit" });
    ended = exitCodeOf(child, command).finally(() => {
      child = undefined;
      stop.abort();
    });
    ended.catch(() => undefined);
  };
  // A second signal ends this process at once, and nothing of it shall be left.
  process.on("exit", killAtExit);
  signal.addEventListener("abort", passOn, { once: true });
  if (signal.aborted) passOn();
  try {
    await work(stop.signal, begin);
  } catch (error) {
    await endCommand(child, ended, graceMs);
    throw error;
  } finally {
    signal.removeEventListener("abort", passOn);
    process.removeListener("exit", killAtExit);
  }
  return await ended;
}

/** Tells the command to end, and makes it end when it is deaf to that: nobody replicates what it writes any more. */
async function endCommand(
  child: ChildProcess | undefined,
  ended: Promise<number>,
  graceMs: number,
): Promise<void> {
  child?.kill("SIGTERM");
  const timer = setTimeout(() => child?.kill("SIGKILL"), graceMs);
  try {
    await ended;
  } finally {
    clearTimeout(timer);
  }
}

function forward(child: ChildProcess, name: string): void {
  // The terminal has sent its Ctrl-C to the whole foreground, the command included.
  if (name === "SIGINT" && process.stdin.isTTY) return;
  child.kill(name === "SIGINT" ? "SIGINT" : "SIGTERM");
}

async function exitCodeOf(child: ChildProcess, command: string): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.once("error", (cause) => {
    const sentence = `cannot execute "${command}": ${cause.message}`;
    reject(new ReplicaError("BAD_CONFIG", sentence, { cause }));
  });
  child.once("exit", (code, name) => {
    resolve(code ?? 128 + (name === null ? 0 : constants.signals[name]));
  });
  return await promise;
}
