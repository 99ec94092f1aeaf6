/** Every bit of a small replica with an edge bundle is turned over: right pages, or an error with a name. */
import { beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { storeSink } from "../../../shared/replica/edge-bundle/bundle-sink.ts";
import {
  formatBasePrefix,
  formatHeadKey,
} from "../../../shared/replica/edge-bundle/bundle-keys.ts";
import { updateBundle } from "../../../shared/replica/edge-bundle/update-bundle.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { everyBit, runTrials, type TrialOptions } from "../../support/damage-trials.ts";
import { copyObjects, takeObjects, type WholeObjects } from "../../support/damaged-store.ts";
import { makeDatabaseImages } from "../../support/database-images.ts";
import { imageAt } from "../../support/ltx-from-images.ts";
import { putSpans } from "../../support/ltx-spans.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

/** Nine pages of 512 bytes, in LTX files of a few hundred: 19,000 bits with the bundle. */
const HISTORY = [
  `CREATE TABLE t (v);
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 35)
    INSERT INTO t SELECT printf('%080d', i) FROM n`,
  ...[2, 3, 4].map((txid) => `UPDATE t SET v = 'now ${txid}' WHERE rowid = ${5 * txid}`),
];
const HEAD_KEY = formatHeadKey(replicaIn(new MemoryStore()));
const BASE_PREFIX = formatBasePrefix(replicaIn(new MemoryStore()));
const SNAPSHOT_KEY = "db/0009/0000000000000001-0000000000000001.ltx";
const TAIL_KEY = "db/0000/0000000000000004-0000000000000004.ltx";
/** One bit in so many, where not all are turned over; it meets every bit of a byte. */
const STEP = 11;

let objects: WholeObjects;
let truth: Uint8Array;

beforeAll(async () => {
  const memory = new MemoryStore();
  const replica = replicaIn(memory);
  const images = makeDatabaseImages({ pageSize: 512, transactions: HISTORY });
  await putSpans(replica, images, [
    [9, 1, 1],
    [1, 2, 2],
    [0, 3, 3],
  ]);
  // So little room in the head that its base is read too.
  await updateBundle(replica, storeSink(replica), { hotBytesMax: 200 });
  await putSpans(replica, images, [[0, 4, 4]]);
  objects = await takeObjects(memory, "db");
  truth = imageAt(images, 4);
});

beforeEach(() => {
  // One line for each bundle that is dropped.
  vi.spyOn(console, "warn").mockImplementation(() => {});
});

interface Share {
  readonly bits: number;
  /** How many of them ended in `CORRUPT_PAGE`; all others in right pages that were verified. */
  readonly refused: number;
}

async function turnOver(
  replica: WholeObjects,
  step: number,
  options: Omit<TrialOptions, "truth">,
): Promise<(keyPrefix: string) => Share> {
  const shares = new Map<string, Share>();
  for (const [key, { bytes }] of replica) {
    const trials = everyBit(key, bytes, step);
    const outcomes = await runTrials(replica, trials, { truth, ...options });
    expect(outcomes.beside(["right verified", "CORRUPT_PAGE"])).toEqual({});
    shares.set(key, { bits: trials.length, refused: outcomes.count("CORRUPT_PAGE") });
  }
  return (prefix) => {
    const [, share] = [...shares].find(([key]) => key.startsWith(prefix)) ?? [];
    if (!share) throw new Error(`there is no ${prefix}`);
    return share;
  };
}

function expectPlausible(share: (keyPrefix: string) => Share): void {
  // The bundle is derived: without it everything is there.
  expect(share(HEAD_KEY).refused).toBe(0);
  expect(share(BASE_PREFIX).refused).toBe(0);
  // Most of it are frames; those of pages that have changed since, and of hot ones, are not read.
  const { bits, refused } = share(SNAPSHOT_KEY);
  expect(refused).toBeGreaterThan(0.25 * bits);
  expect(refused).toBeLessThan(0.65 * bits);
}

describe("whichever bit of a replica with a bundle is turned over, pages are right or CORRUPT_PAGE", () => {
  test("where an isolate that knows nothing finds it so", { timeout: 300_000 }, async () => {
    const options = { moment: "before it is opened", naming: "by another ETag" } as const;
    const share = await turnOver(objects, 1, options);
    expectPlausible(share);
    // What is newer than the bundle is read whole, and verified whole; a few bits of an LZ4 block change
    // nothing in what it decodes to.
    expect(share(TAIL_KEY).refused).toBeGreaterThan(0.98 * share(TAIL_KEY).bits);
  });

  test("where it happens once the version is open", { timeout: 300_000 }, async () => {
    const options = { moment: "before it is read", naming: "as before" } as const;
    const share = await turnOver(objects, 1, options);
    expectPlausible(share);
    expect(share(TAIL_KEY).refused).toBe(0);
  });

  test.each([
    ["an object keeps its ETag", "before it is opened", "as before", undefined],
    [
      "an object gets another ETag once it is open",
      "before it is read",
      "by another ETag",
      undefined,
    ],
    ["the newest TXID is asked for by name", "before it is opened", "by another ETag", "txid:4"],
    ["it happens to a TXID that is open", "before it is read", "by another ETag", "txid:4"],
  ] as const)("where %s", { timeout: 200_000 }, async (_what, moment, naming, at) => {
    expectPlausible(await turnOver(objects, STEP, { moment, naming, at }));
  });

  test.each([
    ["before it is opened", "by another ETag", undefined],
    ["before it is read", "by another ETag", undefined],
    ["before it is opened", "as before", undefined],
    ["before it is read", "as before", undefined],
    ["before it is opened", "by another ETag", "txid:4"],
  ] as const)("in a copy, %s, %s, at %s", { timeout: 200_000 }, async (moment, naming, at) => {
    expectPlausible(await turnOver(copyObjects(objects), STEP, { moment, naming, at }));
  });
});
