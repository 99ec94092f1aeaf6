import { statSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CheckpointResult } from "../../../replicator/source/passive-checkpointer.ts";
import { Checkpoints } from "../../../replicator/sync/checkpoint.ts";
import type { StagedFile } from "../../../replicator/sync/staging.ts";
import { CaptureFixture } from "../../support/capture-fixture.ts";
import {
  createLiveDatabase,
  differingPages,
  imageNow,
  type LiveDatabase,
} from "../../support/live-database.ts";
import { expectRemembered } from "../../support/remembered-pages.ts";

/** More than the 1,000 frames from which on the log is checkpointed. */
const MANY_PAGES = 1_500;

let live: LiveDatabase;
let fixture: CaptureFixture;
let checkpoints: Checkpoints;
let staged: StagedFile[];
let results: CheckpointResult[];

beforeEach(async () => {
  live = createLiveDatabase({ cachePages: 5_000 });
  fixture = await CaptureFixture.start(live.path);
  staged = await fixture.captureAll();
  results = [];
  checkpoints = new Checkpoints({
    source: fixture.source,
    capture: fixture.capture,
    captureWhatIsThere: async () => {
      staged.push(...(await fixture.captureAll()));
    },
    stageHeld: async (file) => {
      staged.push(await file.finish());
    },
    onCheckpoint: (result) => results.push(result),
  });
});
afterEach(() => {
  fixture[Symbol.dispose]();
  live[Symbol.dispose]();
});

function writePages(count: number): void {
  live.exec(
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
       INSERT INTO t (body) SELECT randomblob(480) FROM n`,
  );
}

const images = () => staged.map(({ imageReason }) => imageReason).filter((reason) => reason);

describe("a checkpoint", () => {
  it("is due from 1,000 frames on, counted anew after each", async () => {
    writePages(400);
    expect(checkpoints.isDue()).toBe(false);
    writePages(MANY_PAGES);
    expect(checkpoints.isDue()).toBe(true);
    await checkpoints.run();
    expect(checkpoints.isDue()).toBe(false);
    writePages(400);
    expect(checkpoints.isDue()).toBe(false);
    writePages(MANY_PAGES);
    expect(checkpoints.isDue()).toBe(true);
  });

  it("is due for a writer of small commits too, each of which is captured at once", async () => {
    for (let round = 0; round < 12; round++) {
      writePages(100);
      staged.push(...(await fixture.captureAll()));
    }
    expect(checkpoints.isDue()).toBe(true);
  });

  it("copies all of the log, so that the next commit begins it anew, and ships one file on the way", async () => {
    writePages(MANY_PAGES);
    await checkpoints.run();
    expect(results).toHaveLength(1);
    expect(results[0].checkpointedFrames).toBe(results[0].logFrames);
    expect(staged).toHaveLength(2);
    const logBytes = statSync(fixture.source.walPath).size;
    for (let round = 0; round < 5; round++) {
      writePages(MANY_PAGES);
      await checkpoints.run();
    }
    // It was filled from its start each time.
    expect(statSync(fixture.source.walPath).size).toBeLessThan(1.2 * logBytes);
    expect(results).toHaveLength(6);
  });

  it("never costs an image of the whole database", async () => {
    for (let round = 0; round < 5; round++) {
      writePages(MANY_PAGES);
      if (round % 2 === 0) staged.push(...(await fixture.captureAll()));
      writePages(10);
      await checkpoints.run();
    }
    expect(images()).toEqual(["nothing shows that no commit was missed"]);
    expect(fixture.events).toEqual([]);
    await expectRemembered(fixture);
    expect(differingPages(await fixture.merged(), imageNow(fixture.source), 512)).toEqual([]);
  });

  it("that the application's write lock holds up ships what is committed, and comes later", async () => {
    writePages(MANY_PAGES);
    live.exec("BEGIN IMMEDIATE");
    await checkpoints.run();
    expect(results).toEqual([]);
    expect(staged).toHaveLength(2);
    expect(checkpoints.isDue()).toBe(false);
    live.exec("COMMIT");
    writePages(MANY_PAGES);
    await checkpoints.run();
    expect(results).toHaveLength(1);
  });

  it("that a reader of the application holds up copies what that reader allows", async () => {
    const reader = live.app.prepare("SELECT id FROM t");
    writePages(10);
    const rows = reader.iterate();
    rows.next();
    writePages(MANY_PAGES);
    await checkpoints.run();
    expect(results[0].checkpointedFrames).toBeLessThan(results[0].logFrames);
    rows.return?.(undefined);
    writePages(MANY_PAGES);
    await checkpoints.run();
    expect(results[1].checkpointedFrames).toBe(results[1].logFrames);
    expect(images()).toHaveLength(1);
  });
});
