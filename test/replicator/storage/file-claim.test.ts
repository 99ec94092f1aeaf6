import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { claimReplacement } from "../../../replicator/storage/file-claim.ts";
import type { Etag } from "../../../shared/storage/object-store.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "eddy-claim-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const files = () => readdirSync(root);

/** The number of a process that has ended. */
function goneProcess(): number {
  return spawnSync(process.execPath, ["--version"]).pid;
}

describe("claimReplacement", () => {
  const etag = "some-content" as Etag;

  it("lets one holder have one content, and another content to another", async () => {
    const path = join(root, "k");
    const claim = await claimReplacement(path, etag);
    expect(claim).toBeDefined();
    expect(await claimReplacement(path, etag)).toBeUndefined();
    expect(await claimReplacement(path, "other" as Etag)).toBeDefined();
    await claim?.release();
    expect(await claimReplacement(path, etag)).toBeDefined();
  });

  /** Leaves a claim as a process of that number did, so many seconds ago. */
  async function leave(path: string, owner: string, seconds: number): Promise<void> {
    await claimReplacement(path, etag);
    const [left] = files();
    const at = Date.now() / 1000 - seconds;
    writeFileSync(join(root, left), `${owner}\n`);
    utimesSync(join(root, left), at, at);
  }

  it.each([
    ["a process of this machine that is gone", () => `${hostname()}:${goneProcess()}`, 3, true],
    ["one that was here a moment ago", () => `${hostname()}:${goneProcess()}`, 0, false],
    ["one that runs", () => `${hostname()}:${process.pid}`, 3, false],
    ["one of another machine", () => `other-${hostname()}:${goneProcess()}`, 3, false],
    ["anybody, a minute ago", () => `other-${hostname()}:1`, 61, true],
    ["anybody, before the clock was set back", () => `other-${hostname()}:1`, -3_600, true],
  ])("takes over what %s has left, or does not", async (_name, owner, seconds, isTaken) => {
    const path = join(root, "k");
    await leave(path, owner(), seconds);
    expect((await claimReplacement(path, etag)) !== undefined).toBe(isTaken);
  });

  it("leaves no moment in which a claim does not say whose it is", async () => {
    for (let round = 0; round < 200; round++) {
      const path = join(root, `k${round}`);
      const underWay = { isOver: false };
      const claiming = claimReplacement(path, etag).finally(() => (underWay.isOver = true));
      while (!underWay.isOver) {
        for (const name of files().filter((each) => each.endsWith(".claim.tmp"))) {
          expect(readFileSync(join(root, name), "utf8")).toBe(`${hostname()}:${process.pid}\n`);
        }
        await nextTurn();
      }
      await (await claiming)?.release();
    }
  });

  it("takes over from a holder that died, once, however many come at that moment", async () => {
    for (let round = 0; round < 50; round++) {
      const path = join(root, `k${round}`);
      await claimReplacement(path, etag);
      const longAgo = Date.now() / 1000 - 120;
      const [left] = files().filter((name) => name.startsWith(`k${round}.`));
      utimesSync(join(root, left), longAgo, longAgo);
      const outcomes = await Promise.all([1, 2, 3, 4].map(() => claimReplacement(path, etag)));
      expect(outcomes.filter((claim) => claim !== undefined)).toHaveLength(1);
      expect(files().filter((name) => name.startsWith(`k${round}.`))).toHaveLength(1);
    }
  });
});
