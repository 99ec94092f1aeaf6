/** The options of every command that asks a running replicator. */
import { resolve } from "node:path";
import { ReplicaError } from "../../shared/errors.ts";
import { askReplicator, type ControlCall } from "../control/control-client.ts";
import { DEFAULT_SOCKET_PATH } from "../control/protocol.ts";
import { usageError } from "../terminal/output.ts";
import type { Command } from "commander";

export interface ControlFlags {
  readonly socket: string;
  readonly timeout: string;
  readonly json?: boolean;
}

/** Adds `--socket`, `--timeout` and `--json`. */
export function addControlOptions(command: Command, timeoutSeconds: number): Command {
  return command
    .option("--socket <path>", "the running replicator's control socket", DEFAULT_SOCKET_PATH)
    .option("--timeout <seconds>", "wait so long for its answer", String(timeoutSeconds))
    .option("--json", "print the answer as JSON");
}

/** Asks the replicator that the options name. */
export async function ask(
  call: ControlCall,
  { socket, timeout }: ControlFlags,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const timeoutMs = Number(timeout) * 1_000;
  if (!(timeoutMs > 0)) throw usageError(`--timeout is a number of seconds, not "${timeout}"`);
  return await askReplicator(call, { socketPath: socket, timeoutMs, signal });
}

/** A path as the replicator, which runs elsewhere, must be told it. */
export function absolute(path: string): string {
  return resolve(path);
}

/** The text that a reply has under `name`. */
export function textOf(reply: Readonly<Record<string, unknown>>, name: string): string {
  const value = reply[name];
  if (typeof value === "string") return value;
  throw notUnderstood(name);
}

/** The number that a reply has under `name`. */
export function numberOf(reply: Readonly<Record<string, unknown>>, name: string): number {
  const value = reply[name];
  if (typeof value === "number") return value;
  throw notUnderstood(name);
}

/** The objects that a reply has under `name`. */
export function listOf(
  reply: Readonly<Record<string, unknown>>,
  name: string,
): readonly Readonly<Record<string, unknown>>[] {
  const value = reply[name];
  if (Array.isArray(value)) return value as Readonly<Record<string, unknown>>[];
  throw notUnderstood(name);
}

/** A TXID that came as a number, as people read it: the hex digits of the file's name. */
export function hexOf(txid: number): string {
  return txid.toString(16).padStart(16, "0");
}

function notUnderstood(name: string): ReplicaError {
  return new ReplicaError(
    "R2_ERROR",
    `the answer has no ${name}: whatever listens on that socket is neither Eddy nor Litestream 0.5`,
  );
}
