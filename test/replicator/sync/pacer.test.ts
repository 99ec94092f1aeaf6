import { beforeEach, describe, expect, it } from "vitest";
import { Pacer } from "../../../replicator/sync/pacer.ts";

let clockMs = 0;
beforeEach(() => {
  clockMs = 5_000;
});

function pacer(intervalMs: number): Pacer {
  return new Pacer({ intervalMs, now: () => clockMs });
}

/** Files that are made in `forMs` when there is always something to ship. */
function filesIn(pace: Pacer, forMs: number, waiting = 0): number {
  const endMs = clockMs + forMs;
  let files = 0;
  while (clockMs < endMs) {
    const waitMs = pace.waitMs(waiting);
    if (waitMs > 0) {
      clockMs += waitMs;
      continue;
    }
    pace.take();
    files++;
    clockMs += 1;
  }
  return files;
}

describe("the pace of uploads", () => {
  it("lets 30 commits go at once after quiet", () => {
    const pace = pacer(1_000);
    for (let file = 0; file < 30; file++) {
      expect(pace.waitMs(0)).toBe(0);
      pace.take();
    }
    expect(pace.waitMs(0)).toBe(1_000);
  });

  it("settles at one file an interval", () => {
    const pace = pacer(1_000);
    filesIn(pace, 60_000);
    expect(filesIn(pace, 3_600_000)).toBeGreaterThanOrEqual(3_599);
    expect(filesIn(pace, 3_600_000)).toBeLessThanOrEqual(3_601);
  });

  it("fills again while nothing is written, up to the burst", () => {
    const pace = pacer(1_000);
    filesIn(pace, 60_000);
    clockMs += 10_000;
    expect([10, 11]).toContain(filesIn(pace, 500));
    clockMs += 3_600_000;
    expect(filesIn(pace, 500)).toBe(30);
  });

  it("means an interval of 10 ms, and one of 0", () => {
    const pace = pacer(10);
    filesIn(pace, 1_000);
    expect(filesIn(pace, 10_000)).toBeGreaterThanOrEqual(990);
    const free = pacer(0);
    expect(filesIn(free, 1_000)).toBe(1_000);
  });

  it("makes a file a second while the store takes none, and none in between", () => {
    const pace = pacer(10);
    expect(pace.waitMs(5)).toBe(0);
    pace.take();
    expect(pace.waitMs(1)).toBe(0);
    expect(pace.waitMs(2)).toBe(1_000);
    expect(filesIn(pace, 60_001, 2)).toBe(60);
  });
});
