/** `eddy.mjs`, by which the command line is started. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { createCliFixture } from "../support/cli-fixture.ts";

const EDDY = fileURLToPath(new URL("../../replicator/eddy.mjs", import.meta.url));

const { at, replicaUrl, remove } = await createCliFixture();
afterAll(remove);

/** Replicates until it has said that it does; answers how the process was begun, and how it ended by SIGTERM. */
async function replicate(flags: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const args = [...flags, EDDY, "replicate", at("app.db"), replicaUrl];
  const child = spawn(process.execPath, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const closed = once(child, "close");
  await once(child.stderr, "data");
  const commandLine = readFileSync(`/proc/${child.pid}/cmdline`, "utf8").split("\0");
  child.kill("SIGTERM");
  const [status] = (await closed) as [number | null];
  return { commandLine, status };
}

describe("the launcher", () => {
  it("gives a replicator little room for what is soon of no use, in the process that it is", async () => {
    const { commandLine, status } = await replicate(["--no-warnings"]);
    expect(commandLine.slice(1, 5)).toEqual([
      "--max-semi-space-size=1",
      "--no-warnings",
      EDDY,
      "replicate",
    ]);
    expect(status).toBe(0);
  });

  it("leaves it at what somebody has said", async () => {
    const byFlag = await replicate(["--max-semi-space-size=8"]);
    expect(byFlag.commandLine.slice(1, 3)).toEqual(["--max-semi-space-size=8", EDDY]);
    const byEnvironment = await replicate([], { NODE_OPTIONS: "--max-semi-space-size=8" });
    expect(byEnvironment.commandLine[1]).toBe(EDDY);
  });

  it("passes on what is printed, and the exit code", () => {
    const args = [EDDY, "replicate", at("no.db"), `file://${at("no-replica")}`, "--once"];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect(stderr).toContain("there is no such file");
    expect(status).toBe(1);
  });
});
