import { readdirSync, readlinkSync } from "node:fs";
import { expect, it } from "vitest";
import { SourceDatabase } from "../../../replicator/source/source-database.ts";
import { createLiveDatabase } from "../../support/live-database.ts";

/** How many descriptors of the file this process has, its threads included. */
function descriptorsOf(path: string): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === path;
    } catch {
      // The folder's own descriptor is gone by now.
      return false;
    }
  }).length;
}

it("a database that was closed is open no more, in the thread that checkpoints neither", async () => {
  using live = createLiveDatabase();
  // In this process SQLite would keep descriptors open for as long as the application has locks.
  live.app.close();
  const source = SourceDatabase.open(live.path);
  source.holdReadLock();
  await source.checkpointPassive();
  // Ours, three connections, and the thread's.
  expect(descriptorsOf(live.path)).toBe(5);
  source.close();
  // At once: a start that follows would count on locks that went with our descriptor.
  expect(descriptorsOf(live.path)).toBe(0);
});
