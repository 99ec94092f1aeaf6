/** Small helpers of the commands in this folder. */
import { ReplicaError } from "../shared/errors.ts";

const POLL_MS = 200;

// A terminal that was closed takes nothing any more, and that is not to keep anybody from ending what was started.
process.stderr.on("error", () => undefined);

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
