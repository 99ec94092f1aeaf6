import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openReplica } from "../../../replicator/storage/open-store.ts";
import { ReplicaError } from "../../../shared/errors.ts";
import { listAllFiles } from "../../../shared/replica/load-plan.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import { MaintenanceFixture } from "../../support/maintenance-fixture.ts";

const MINUTE = 60_000;

let folder: string;
let replica: Replica;
let isInterrupted = false;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-stamps-"));
  const opened = openReplica(`file://${folder}`, { env: {}, writing: true });
  const { store } = opened;
  const interrupted: ObjectStore = {
    list: (options) => store.list(options),
    get: (key, options) => store.get(key, options),
    delete: (keys, options) => store.delete(keys, options),
    async put(key, body, options) {
      if (isInterrupted && key.startsWith("ltx/1/")) throw new ReplicaError("R2_ERROR", "killed");
      return await store.put(key, body, options);
    },
  };
  replica = { ...opened, store: interrupted };
});
afterEach(() => rmSync(folder, { recursive: true }));

function stamps(): string[] {
  return readdirSync(join(folder, "eddy/oldest")).toSorted();
}

/** What the files that were merged have beside them. */
async function stampsOfFiles(): Promise<string[]> {
  const files = await listAllFiles(replica);
  const merged = files.filter(({ level }) => level > 0 && level < 9);
  return merged
    .map(({ level, key }) => `${level}-${key.replace(/.*\/(.*)\.ltx/, "$1")}`)
    .toSorted();
}

describe("a merge into a folder that was interrupted between its stamp and its file", () => {
  it("leaves no stamp there for ever: retention removes it, and no other", async () => {
    const clock = { nowMs: Date.UTC(2026, 10, 26) };
    const options = { snapshotIntervalMs: 10 * MINUTE };
    using fixture = await MaintenanceFixture.start(replica, clock, options);
    await fixture.commit(3);
    await fixture.pass(MINUTE);
    await fixture.commit(2);
    isInterrupted = true;
    await fixture.pass(5_000);
    await fixture.pass(MINUTE / 2);
    expect(fixture.said("compaction-failed")).not.toEqual([]);
    isInterrupted = false;
    // The next merge takes in what was committed since, and so has another name.
    await fixture.commit(1);
    const orphans = async () => {
      const wanted = await stampsOfFiles();
      return stamps().filter((name) => !wanted.includes(name));
    };
    await fixture.pass(MINUTE / 2);
    expect(await orphans()).toHaveLength(1);
    fixture.restart();
    await fixture.pass(MINUTE);
    expect(await orphans()).toEqual([]);
    expect(stamps()).toEqual(await stampsOfFiles());
    expect(stamps().length).toBeGreaterThan(1);
  });
});
