/** Damage here and there in larger replicas, with and without an edge bundle. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { storeSink } from "../../../shared/replica/edge-bundle/bundle-sink.ts";
import { updateBundle } from "../../../shared/replica/edge-bundle/update-bundle.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import {
  chanceOf,
  flips,
  HONEST,
  inAllModes,
  MODES,
  SAFE,
  totalOf,
  withoutBundle,
  type Chance,
  type Outcomes,
  type Trial,
} from "../../support/damage-trials.ts";
import { copyObjects, takeObjects, type WholeObjects } from "../../support/damaged-store.ts";
import { makeDatabaseImages } from "../../support/database-images.ts";
import { imageAt, type Images } from "../../support/ltx-from-images.ts";
import { putSpans, type FileSpan } from "../../support/ltx-spans.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)";
/** Some 230 KB that compress badly; the last transaction changes most of the rows. */
const HISTORY = [
  `CREATE TABLE facts (id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, note TEXT NOT NULL);
   ${NUMBERS} INSERT INTO facts SELECT i, i % 89, hex(randomblob(28)) FROM n WHERE i <= 900;
   CREATE INDEX facts_by_kind ON facts (kind);
   CREATE TABLE files (id INTEGER PRIMARY KEY, content BLOB NOT NULL);
   INSERT INTO files SELECT id, randomblob(id * 12000) FROM facts WHERE id <= 4`,
  ...[2, 3, 4, 5, 6, 7].map(
    (txid) => `UPDATE facts SET note = hex(randomblob(28)) WHERE id % 97 = ${txid};
      INSERT INTO facts (kind, note) VALUES (${txid}, 'of transaction ${txid}')`,
  ),
  "UPDATE facts SET note = hex(randomblob(28)) WHERE id BETWEEN 100 AND 800",
];
/** Several levels up to the bundle, and behind it what is newer. */
const UP_TO_BUNDLE: readonly FileSpan[] = [
  [9, 1, 1],
  [2, 2, 3],
  [1, 4, 5],
  [0, 5, 5],
  [0, 6, 6],
];
const NEWER: readonly FileSpan[] = [
  [0, 7, 7],
  [0, 8, 8],
];
async function storeHistory(
  images: Images,
  { bundled, newer }: { bundled: readonly FileSpan[]; newer: readonly FileSpan[] },
): Promise<WholeObjects> {
  const memory = new MemoryStore();
  const replica = replicaIn(memory);
  await putSpans(replica, images, bundled);
  await updateBundle(replica, storeSink(replica), { hotBytesMax: 3_000 });
  await putSpans(replica, images, newer);
  return takeObjects(memory, "db");
}

function cuts(objects: WholeObjects, each: number, chance: Chance): Trial[] {
  return [...objects].flatMap(([key, { bytes }]) =>
    Array.from({ length: each }, (_, index): Trial => {
      const length = [0, bytes.length - 1][index] ?? chance(bytes.length);
      return { key, what: `cut to ${length} bytes`, damage: (whole) => whole.slice(0, length) };
    }),
  );
}

beforeEach(() => {
  // One line for each bundle that is dropped.
  vi.spyOn(console, "warn").mockImplementation(() => {});
});

describe.each([512, 4_096, 65_536])(
  "a history in pages of %d bytes",
  { timeout: 200_000 },
  (pageSize) => {
    const images = makeDatabaseImages({ pageSize, transactions: HISTORY });
    const chance = chanceOf(pageSize);
    const share = pageSize === 512 ? 1 / 3 : 1;
    const TARGETS = [undefined, "txid:8", "txid:7", "txid:6"] as const;

    async function trialsAt(objects: WholeObjects, trials: readonly Trial[], allowed: string[]) {
      const all: Outcomes[] = [];
      for (const [index, at] of TARGETS.entries()) {
        const truth = imageAt(images, at === undefined ? 8 : Number(at.slice("txid:".length)));
        const part = trials.filter(
          (_, trial) => Math.floor(trial / MODES.length) % TARGETS.length === index,
        );
        all.push(...(await inAllModes(objects, part, { truth, at, allowed })));
      }
      return all;
    }

    test("is read right or refused, whichever bit is turned over", async () => {
      const objects = await storeHistory(images, { bundled: UP_TO_BUNDLE, newer: NEWER });
      for (const each of [objects, copyObjects(objects)]) {
        const outcomes = await trialsAt(each, flips(each, share * 480, chance), SAFE);
        expect(totalOf(outcomes, "CORRUPT_PAGE")).toBeGreaterThan(share * 40);
        expect(totalOf(outcomes, "right verified")).toBeGreaterThan(share * 100);
      }
    });

    test("is read right or refused where an object is cut off", async () => {
      const objects = await storeHistory(images, { bundled: UP_TO_BUNDLE, newer: NEWER });
      const outcomes = await trialsAt(objects, cuts(objects, 16, chance), SAFE);
      expect(totalOf(outcomes, "CORRUPT_PAGE")).toBeGreaterThan(20);
    });

    test("is sent right or broken off as a file, whichever bit is turned over", async () => {
      const objects = await storeHistory(images, { bundled: UP_TO_BUNDLE, newer: NEWER });
      const truth = imageAt(images, 8);
      const options = { truth, at: "txid:8", isDownload: true, allowed: SAFE };
      const outcomes = await inAllModes(objects, flips(objects, share * 240, chance), options);
      expect(totalOf(outcomes, "CORRUPT_PAGE")).toBeGreaterThan(share * 40);
    });

    test("without a bundle is never called verified where a page is wrong", async () => {
      const objects = withoutBundle(
        await storeHistory(images, { bundled: UP_TO_BUNDLE, newer: NEWER }),
      );
      const trials = flips(objects, share * 480, chance);
      const outcomes = await trialsAt(objects, trials, HONEST);
      // Otherwise it would not be tested.
      expect(totalOf(outcomes, "wrong")).toBeGreaterThan(0);
      expect(totalOf(outcomes, "right verified")).toBe(0);
    });
  },
);
