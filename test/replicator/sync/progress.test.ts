import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Replication } from "../../../replicator/sync/sync-loop.ts";
import type { ReplicationEvent } from "../../../replicator/sync/events.ts";
import type { ProgressEvent } from "../../../replicator/sync/progress.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { createLiveDatabase, type LiveDatabase } from "../../support/live-database.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const { signal: never } = new AbortController();

/** Random bytes make a file that is about as large, and too large to be uploaded in one piece. */
const LARGE = "INSERT INTO t (body) VALUES (randomblob(12000000))";

let live: LiveDatabase;
let replica: Replica;
let told: ProgressEvent[];
beforeEach(() => {
  live = createLiveDatabase({ pageSize: 4096 });
  replica = replicaIn(new MemoryStore());
  told = [];
});
afterEach(() => {
  vi.restoreAllMocks();
  live[Symbol.dispose]();
});

/** Each look at the clock finds it so much later, so that what is told does not depend on the machine. */
function letClockRun(stepMs: number): void {
  let nowMs = 0;
  vi.spyOn(performance, "now").mockImplementation(() => (nowMs += stepMs));
}

function onEvent(event: ReplicationEvent): void {
  if (event.event === "progress") told.push(event);
}

async function ship(forceSnapshot: boolean): Promise<void> {
  const replication = await Replication.start({ databasePath: live.path, replica, onEvent });
  await replication.once(never, { forceSnapshot });
  replication.close();
}

describe("the progress of a first image and of a snapshot", () => {
  it("is told while they are read and uploaded, up to the end", async () => {
    live.exec(LARGE);
    letClockRun(100);
    await ship(true);
    for (const [of, phase] of [
      ["image", "reading"],
      ["file", "uploading"],
      ["snapshot", "reading"],
      ["snapshot", "uploading"],
    ] as const) {
      const events = told.filter((event) => event.of === of && event.phase === phase);
      expect(events.length).toBeGreaterThan(1);
      const done = events.map(({ done_bytes }) => done_bytes);
      expect(done).toEqual(done.toSorted((a, b) => a - b));
      const [total] = events.map(({ total_bytes }) => total_bytes);
      expect(total).toBeGreaterThan(12_000_000);
      expect(done.at(-1)).toBe(total);
    }
  });

  it("is not told of what takes no time", async () => {
    live.exec(LARGE);
    letClockRun(0.001);
    await ship(true);
    expect(told).toEqual([]);
  });

  it("is told of a large commit while it is uploaded", async () => {
    live.exec("INSERT INTO t (body) VALUES ('small')");
    await ship(false);
    live.exec(LARGE);
    letClockRun(100);
    await ship(false);
    expect(new Set(told.map(({ of, phase }) => `${phase} ${of}`))).toEqual(
      new Set(["uploading file"]),
    );
  });
});
