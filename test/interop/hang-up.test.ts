import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../support/free-port.ts";

let demo: ChildProcess;
let printed = "";
let onOutput = () => {};

beforeAll(async () => {
  const port = await freePort();
  demo = spawn("npm", ["start"], {
    detached: true,
    env: { ...process.env, PORT: String(port) },
    stdio: ["ignore", "ignore", "pipe"],
  });
  demo.stderr?.on("data", (chunk: Buffer) => {
    printed += chunk.toString();
    onOutput();
  });
  demo.stderr?.on("close", () => onOutput());
});
afterAll(() => {
  if (demo.exitCode === null && demo.signalCode === null) process.kill(-(demo.pid ?? 0), "SIGINT");
});

async function untilPrinted(pattern: RegExp): Promise<RegExpExecArray> {
  for (;;) {
    const match = pattern.exec(printed);
    if (match) return match;
    if (demo.exitCode !== null) throw new Error(`npm start ended:\n${printed}`);
    await new Promise<void>((resolve) => (onOutput = resolve));
  }
}

/** Processes whose command line speaks of this demo's folder. */
function processesOf(folder: string): string[] {
  const { stdout } = spawnSync("pgrep", ["-f", folder], { encoding: "utf8" });
  return stdout.split("\n").filter(Boolean);
}

describe("npm start, when its terminal is closed", () => {
  it("ends every process that it started, and removes its folder", async () => {
    const folder = (await untilPrinted(/removes (\S+)\.\n/))[1] ?? "";
    expect(processesOf(folder).length).toBeGreaterThan(2);
    // Nothing can be printed any more, and the system tells the whole foreground group.
    demo.stderr?.destroy();
    process.kill(-(demo.pid ?? 0), "SIGHUP");
    await expect.poll(() => existsSync(folder), { timeout: 30_000 }).toBe(false);
    expect(processesOf(folder)).toEqual([]);
  });
});
