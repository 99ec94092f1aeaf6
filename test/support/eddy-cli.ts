/** The command line as its users run it: a process of its own. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../../replicator/eddy.mjs", import.meta.url));
/** Credentials of whoever runs the tests must not reach them. */
const NO_CREDENTIALS = Object.fromEntries(
  Object.keys(process.env)
    .filter((name) => /^(AWS|LITESTREAM)_/.test(name))
    .map((name) => [name, undefined]),
);

export interface CliResult {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** As a user who may only what everybody may; for root, who may everything, that is another user. */
export function eddyAsNobody(args: readonly string[]): Promise<CliResult> {
  const isRoot = process.getuid?.() === 0;
  return eddy(args, { HOME: "/" }, isRoot ? { uid: 65_534, gid: 65_534 } : {});
}

export async function eddy(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  user: { readonly uid?: number; readonly gid?: number } = {},
): Promise<CliResult> {
  const child = spawn(process.execPath, [CLI, ...args], {
    ...user,
    env: { ...process.env, ...NO_CREDENTIALS, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
  const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { status, stdout, stderr };
}
