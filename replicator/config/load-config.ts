import { readFileSync } from "node:fs";
import { ReplicaError } from "../../shared/errors.ts";
import type { Environment } from "../../shared/storage/store-url.ts";
import type { Config } from "./config.ts";

const DEFAULT_PATH = "/etc/litestream.yml";

export interface LoadConfigOptions {
  /** Undefined: $LITESTREAM_CONFIG, and `/etc/litestream.yml` without that. */
  readonly path: string | undefined;
  readonly env: Environment;
  readonly expandEnvironment: boolean;
}

/** Which file that is. */
export function configPath(path: string | undefined, env: Environment): string {
  return path ?? (env["LITESTREAM_CONFIG"] || DEFAULT_PATH);
}

/**
 * Reads the configuration file.
 *
 * @throws {ReplicaError} `BAD_CONFIG`, also when it cannot be read.
 */
export async function loadConfig({
  path,
  env,
  expandEnvironment,
}: LoadConfigOptions): Promise<Config> {
  const name = configPath(path, env);
  let text: string;
  try {
    text = readFileSync(name, "utf8");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = code === "ENOENT" ? "there is no such file" : message;
    throw new ReplicaError(
      "BAD_CONFIG",
      `cannot read the configuration ${name}: ${reason}. Name one with --config PATH or LITESTREAM_CONFIG, or name a database and a URL`,
      { cause },
    );
  }
  // Whoever has no file needs no YAML, which takes 13 MB of memory.
  const { readConfig } = await import("./read-config.ts");
  return readConfig(text, { name, env, expandEnvironment });
}
