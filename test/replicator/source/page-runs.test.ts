import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { PageRuns } from "../../../replicator/source/page-runs.ts";
import { sameBytes, samplePage } from "../../support/ltx-fixtures.ts";

const PAGE_SIZE = 512;
const PAGES = 5_000;
const folder = mkdtempSync(join(tmpdir(), "eddy-page-runs-"));
const path = join(folder, "pages");
// More than two runs of 1 MiB, and half a page at the end.
const content = samplePage("noise", 3, PAGES * PAGE_SIZE + PAGE_SIZE / 2);
writeFileSync(path, content);
const fd = openSync(path, "r");
afterAll(() => {
  closeSync(fd);
  rmSync(folder, { recursive: true });
});

function expected(pgno: number): Uint8Array {
  const page = new Uint8Array(PAGE_SIZE);
  page.set(content.subarray((pgno - 1) * PAGE_SIZE, pgno * PAGE_SIZE));
  return page;
}

function holds(runs: PageRuns, pgno: number): boolean {
  return sameBytes(runs.read(pgno), expected(pgno));
}

describe("PageRuns", () => {
  it("reads every page in order, and zeros beyond the end of the file", () => {
    const runs = new PageRuns(fd, PAGE_SIZE);
    for (let pgno = 1; pgno <= PAGES + 3; pgno++) if (!holds(runs, pgno)) expect(pgno).toBe(0);
    expect(runs.read(PAGES + 2000).every((byte) => byte === 0)).toBe(true);
  });

  it("reads pages in any order", () => {
    const stretch = fc.tuple(
      fc.integer({ min: 1, max: PAGES + 2 }),
      fc.integer({ max: 9, min: 1 }),
    );
    fc.assert(
      fc.property(fc.array(stretch, { maxLength: 20 }), (stretches) => {
        const runs = new PageRuns(fd, PAGE_SIZE);
        return stretches.every(([first, count]) =>
          Array.from({ length: count }, (_, i) => first + i).every((pgno) => holds(runs, pgno)),
        );
      }),
    );
  });

  it("passes over pages that are not asked for, as the lock page", () => {
    const runs = new PageRuns(fd, PAGE_SIZE);
    for (let pgno = 1; pgno <= PAGES; pgno++) {
      if (pgno % 1000 !== 0 && !holds(runs, pgno)) expect(pgno).toBe(0);
    }
  });

  it("reads pages of 64 KiB", () => {
    const runs = new PageRuns(fd, 65_536);
    for (let pgno = 1; pgno <= 40; pgno++) {
      const page = new Uint8Array(65_536);
      page.set(content.subarray((pgno - 1) * 65_536, pgno * 65_536));
      expect(sameBytes(runs.read(pgno), page)).toBe(true);
    }
  });
});
