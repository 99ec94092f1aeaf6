import { expect } from "vitest";
import { PageMemory } from "../../replicator/sync/page-memory.ts";
import type { CaptureFixture } from "./capture-fixture.ts";

/**
 * Expects that what is remembered in the staging directory is every page that the staged files make
 * together, and nothing else.
 */
export async function expectRemembered(fixture: CaptureFixture): Promise<void> {
  const { staging, source, capture } = fixture;
  const { pageSize } = source;
  const image = await fixture.merged();
  const remembered = (await PageMemory.load(staging, pageSize)).at(capture.txid);
  expect(remembered?.point.commit).toBe(image.length / pageSize);
  const pgnos = Array.from({ length: image.length / pageSize }, (_, index) => index + 1);
  const wrong = pgnos.filter((pgno) => {
    const data = image.subarray((pgno - 1) * pageSize, pgno * pageSize);
    return !remembered?.isSame({ pgno, data });
  });
  expect(wrong).toEqual([]);
}
