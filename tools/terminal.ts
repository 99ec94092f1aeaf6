/** Small helpers of the commands in this folder. */
import { ReplicaError } from "../shared/errors.ts";

const POLL_MS = 200;

export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** @throws {ReplicaError} `BAD_CONFIG` when `text` is not a port that a program may choose. */
export function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) {
    throw new ReplicaError("BAD_CONFIG", `PORT is "${text}": it must be a number from 1 to 65535`);
  }
  return port;
}

/** Asks `url` until it answers with success. Ends early, without an error, when `signal` fires. */
export async function waitUntilOk(
  url: string,
  options: { readonly headers: Record<string, string>; readonly signal: AbortSignal },
): Promise<void> {
  // Bounded by the caller's signal: it fires on Ctrl-C and when a child process ends.
  while (!options.signal.aborted) {
    const response = await fetch(url, { headers: options.headers }).catch(() => undefined);
    await response?.arrayBuffer();
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Redraws one line on a terminal: how much is done, and how long the rest takes at this rate. */
export function progressLine(progress: { doneBytes: number; totalBytes: number }): void {
  if (!process.stderr.isTTY) return;
  const { doneBytes, totalBytes } = progress;
  startedMs ??= performance.now();
  const seconds = (performance.now() - startedMs) / 1_000;
  const share = totalBytes === 0 ? 1 : doneBytes / totalBytes;
  const width = 30;
  const bar = "█".repeat(Math.round(share * width)).padEnd(width, "░");
  const rate = seconds > 0 ? doneBytes / 1e6 / seconds : 0;
  const left = share > 0 ? Math.ceil((seconds / share) * (1 - share)) : 0;
  const end = share === 1 ? "\n" : "";
  const done = (doneBytes / 1e6).toFixed(1);
  const total = (totalBytes / 1e6).toFixed(1);
  process.stderr.write(
    `\r\u001B[K${bar} ${done} of ${total} MB  ${rate.toFixed(1)} MB/s  ${left} s left${end}`,
  );
}

let startedMs: number | undefined;
