import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { withCommand } from "../../../replicator/exec/with-command.ts";

const never = new AbortController().signal;

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "eddy-exec-"))));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const at = (name: string) => join(folder, name);

/** A command that does not end by itself; a file with its process's number says that it listens for SIGTERM. */
function command(onTerm: string): string {
  const script = `
    const { renameSync, writeFileSync } = require("node:fs");
    process.on("SIGTERM", () => { ${onTerm} });
    setInterval(() => undefined, 1000);
    writeFileSync("${at("pid.tmp")}", String(process.pid));
    renameSync("${at("pid.tmp")}", "${at("pid")}");`;
  return `${process.execPath} -e '${script}'`;
}

/** Fails as a database does whose command runs already. */
async function fail(_: AbortSignal, begin: () => void): Promise<void> {
  begin();
  await expect.poll(() => existsSync(at("pid")), { timeout: 20_000 }).toBe(true);
  throw new Error("the database is gone");
}

describe("withCommand", () => {
  it("kills a command that is deaf to SIGTERM when what runs beside it fails", async () => {
    const deaf = command(`writeFileSync("${at("told")}", "")`);
    await expect(withCommand(deaf, never, fail, { graceMs: 200 })).rejects.toThrow("is gone");
    expect(existsSync(at("told"))).toBe(true);
    expect(existsSync(`/proc/${readFileSync(at("pid"), "utf8")}`)).toBe(false);
  });

  it("waits for a command that ends in its own way", async () => {
    const polite = command(
      `setTimeout(() => { writeFileSync("${at("done")}", ""); process.exit(); }, 300)`,
    );
    await expect(withCommand(polite, never, fail)).rejects.toThrow("is gone");
    expect(existsSync(at("done"))).toBe(true);
  });
});
