/** Objects that are swapped, and files that are too large to be read whole. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { storeSink } from "../../../shared/replica/edge-bundle/bundle-sink.ts";
import {
  formatBasePrefix,
  formatHeadKey,
} from "../../../shared/replica/edge-bundle/bundle-keys.ts";
import { updateBundle } from "../../../shared/replica/edge-bundle/update-bundle.ts";
import { encodeLtx } from "../../../shared/ltx/encoder.ts";
import { toTxid } from "../../../shared/ltx/txid.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import {
  chanceOf,
  flipAt,
  HONEST,
  inAllModes,
  SAFE,
  totalOf,
  type Trial,
} from "../../support/damage-trials.ts";
import { copyObjects, takeObjects, type WholeObjects } from "../../support/damaged-store.ts";
import { concatBytes, ltxHeader } from "../../support/ltx-fixtures.ts";
import type { Etag } from "../../../shared/storage/object-store.ts";
import { makeDatabaseImages } from "../../support/database-images.ts";
import { imageAt, type Images } from "../../support/ltx-from-images.ts";
import { putSpans, type FileSpan } from "../../support/ltx-spans.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)";
const REPLICA = replicaIn(new MemoryStore());
const HEAD_KEY = formatHeadKey(REPLICA);
const BASE_PREFIX = formatBasePrefix(REPLICA);

/** A table of so many rows of 500 bytes that do not compress. */
function noise(table: string, rows: number): string {
  return `CREATE TABLE ${table} (id INTEGER PRIMARY KEY, v BLOB NOT NULL);
    ${NUMBERS} INSERT INTO ${table} SELECT i, randomblob(500) FROM n WHERE i <= ${rows}`;
}

function change(table: string, where: string): string {
  return `UPDATE ${table} SET v = randomblob(500) WHERE ${where}`;
}

interface Stored {
  readonly images: Images;
  readonly truth: Uint8Array;
  readonly objects: WholeObjects;
}

/** Files up to a bundle, and those that are newer. */
async function store(
  transactions: readonly string[],
  {
    bundled,
    newer = [],
  }: { readonly bundled: readonly FileSpan[]; readonly newer?: readonly FileSpan[] },
): Promise<Stored> {
  const images = makeDatabaseImages({ pageSize: 1_024, transactions });
  const memory = new MemoryStore();
  const replica = replicaIn(memory);
  await putSpans(replica, images, bundled);
  await updateBundle(replica, storeSink(replica), { hotBytesMax: 2_000 });
  await putSpans(replica, images, newer);
  const truth = imageAt(images, transactions.length);
  return { images, truth, objects: await takeObjects(memory, "db") };
}

function baseOf(objects: WholeObjects): string {
  return [...objects.keys()].find((key) => key.startsWith(BASE_PREFIX)) ?? "";
}

/** One object's bytes under the key of another. */
function swap(key: string, other: string, bytes: Uint8Array | undefined): Trial {
  if (!bytes) throw new Error(`there is no ${other}`);
  return { key, what: `holds ${other}`, damage: () => bytes };
}

function inEachMode(trials: readonly Trial[]): Trial[] {
  return trials.flatMap((trial) => [trial, trial, trial, trial]);
}

beforeEach(() => {
  // One line for each bundle that is dropped.
  vi.spyOn(console, "warn").mockImplementation(() => {});
});

describe("objects that hold what others should", { timeout: 120_000 }, () => {
  const HISTORY = [
    noise("t", 300),
    ...[2, 3, 4, 5].map((txid) => change("t", `id % 50 = ${txid}`)),
  ];
  const BUNDLED: readonly FileSpan[] = [
    [9, 1, 1],
    [1, 2, 3],
    [0, 3, 3],
    [0, 4, 4],
  ];
  const NEWER: readonly FileSpan[] = [[0, 5, 5]];

  test("are refused or read right: each under the key of each other", async () => {
    const { truth, objects } = await store(HISTORY, { bundled: BUNDLED, newer: NEWER });
    for (const each of [objects, copyObjects(objects)]) {
      const keys = [...each.keys()];
      const trials = keys.flatMap((key) =>
        keys
          .filter((other) => other !== key)
          .map((other) => swap(key, other, each.get(other)?.bytes)),
      );
      for (const at of [undefined, "txid:5"]) {
        const options = { truth, at, allowed: SAFE };
        const outcomes = await inAllModes(each, inEachMode(trials), options);
        expect(totalOf(outcomes, "CORRUPT_PAGE")).toBeGreaterThan(trials.length);
      }
    }
  });

  test("are read right where the head is that of an older state, or all of a bundle is another history's", async () => {
    const { truth, objects } = await store(HISTORY, { bundled: BUNDLED, newer: NEWER });
    const older = await store(HISTORY.slice(0, 3), { bundled: BUNDLED.slice(0, 3) });
    // The same statements, and other random bytes.
    const other = await store(HISTORY, { bundled: BUNDLED, newer: NEWER });
    const trials = [
      swap(HEAD_KEY, "an older head", older.objects.get(HEAD_KEY)?.bytes),
      swap(HEAD_KEY, "another history's head", other.objects.get(HEAD_KEY)?.bytes),
      swap(
        baseOf(objects),
        "another history's base",
        other.objects.get(baseOf(other.objects))?.bytes,
      ),
    ];
    for (const at of [undefined, "txid:5"]) {
      await inAllModes(objects, inEachMode(trials), {
        truth,
        at,
        allowed: ["right", "right verified"],
      });
    }
  });
});

/** Bits of the last bytes of an object: of its page index, its length and the trailer. */
function endFlips(
  objects: WholeObjects,
  key: string,
  { bytes, count }: { bytes: number; count: number },
): Trial[] {
  const chance = chanceOf(bytes);
  const length = objects.get(key)?.bytes.length ?? 0;
  return Array.from({ length: count }, () =>
    flipAt(key, 8 * (length - 1 - chance(bytes)) + chance(8)),
  );
}

function headerFlips(key: string): Trial[] {
  return Array.from({ length: 800 }, (_, bit) => flipAt(key, bit));
}

/** Key of the level-0 file of one transaction. */
function key0(txid: number): string {
  const name = toTxid(BigInt(txid)).toString(16).padStart(16, "0");
  return `db/0000/${name}-${name}.ltx`;
}

describe("a file too large to be read whole", { timeout: 200_000 }, () => {
  test("leaves no older page verified that it may have replaced", async () => {
    // The first file is read whole and verified, the second is not: 60 and 80 KB.
    const { truth, objects } = await store(
      [noise("t", 100), `${change("t", "id % 2")}; ${noise("u", 100)}`],
      {
        bundled: [
          [0, 1, 1],
          [0, 2, 2],
        ],
      },
    );
    const bare = new Map([...objects].filter(([key]) => !key.startsWith("db/eddy/")));
    expect(bare.get(key0(1))?.bytes.length).toBeLessThan(64 * 1024);
    expect(bare.get(key0(2))?.bytes.length).toBeGreaterThan(64 * 1024);
    const trials = [
      ...endFlips(bare, key0(2), { bytes: 700, count: 1_600 }),
      ...headerFlips(key0(2)),
    ];
    const outcomes = await inAllModes(bare, trials, { truth, allowed: HONEST });
    expect(totalOf(outcomes, "wrong")).toBeGreaterThan(0);
  });

  test("leaves no page of an older bundle verified that it may have replaced", async () => {
    // The second transaction takes more than 4 MiB.
    const { truth, objects } = await store(
      [noise("t", 100), `${change("t", "id % 2")}; ${noise("u", 9_000)}`],
      {
        bundled: [[0, 1, 1]],
        newer: [[0, 2, 2]],
      },
    );
    expect(objects.get(key0(2))?.bytes.length).toBeGreaterThan(4 * 1024 * 1024);
    const pgnos = Array.from({ length: 70 }, (_, index) => index + 1);
    // The entries of the first pages, which the bundle knows too, are the first of the index.
    const whole = objects.get(key0(2))?.bytes ?? new Uint8Array();
    const start =
      whole.length - 24 - Number(new DataView(whole.buffer).getBigUint64(whole.length - 24));
    const trials = [
      ...Array.from({ length: 8 * 240 }, (_, bit) => flipAt(key0(2), 8 * start + bit)),
      ...headerFlips(key0(2)),
    ];
    const outcomes = await inAllModes(objects, trials, { truth, pgnos, allowed: HONEST });
    expect(totalOf(outcomes, "CORRUPT_PAGE")).toBeGreaterThan(0);
  });
});

describe("a page index too long to be read whole", { timeout: 200_000 }, () => {
  /** Pages that are nearly empty, so that the file is short and its index is not. */
  const PAGES = 85_000;
  const PAGE_BYTES = 512;

  function longFile(): { readonly truth: Uint8Array; readonly bytes: Uint8Array } {
    const truth = new Uint8Array(PAGES * PAGE_BYTES);
    const view = new DataView(truth.buffer);
    const pages = Array.from({ length: PAGES }, (_, index) => {
      view.setUint32(index * PAGE_BYTES, index * 2_654_435_761);
      const data = truth.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
      return { pgno: index + 1, data };
    });
    const header = ltxHeader({ minTxid: 1, commit: PAGES, pageSize: PAGE_BYTES });
    return { truth, bytes: concatBytes([...encodeLtx(header, pages)]) };
  }

  test("is refused, or leads to right pages, or to pages that are not called verified", async () => {
    const { truth, bytes } = longFile();
    const key = "db/0009/0000000000000001-0000000000000001.ltx";
    const object = { bytes, etag: "long" as Etag, metadata: {} };
    const objects: WholeObjects = new Map([[key, object]]);
    const indexBytes = Number(new DataView(bytes.buffer).getBigUint64(bytes.length - 24));
    expect(indexBytes).toBeGreaterThan(512 * 1024);
    const chance = chanceOf(9);
    const pgnos = Array.from({ length: 24 }, () => 1 + chance(PAGES));
    // Around the entries of those pages, which ascend as evenly as the pages do.
    const start = bytes.length - 24 - indexBytes;
    const near = pgnos.flatMap((pgno) =>
      Array.from({ length: 16 }, () => {
        const byte = start + Math.floor((pgno / PAGES) * indexBytes) + chance(3_000) - 1_500;
        return flipAt(key, 8 * Math.min(Math.max(byte, start), bytes.length - 1) + chance(8));
      }),
    );
    const trials = [
      ...near,
      ...endFlips(objects, key, { bytes: 2_000, count: 200 }),
      ...headerFlips(key),
    ];
    const outcomes = await inAllModes(objects, trials, { truth, pgnos, allowed: HONEST });
    expect(totalOf(outcomes, "CORRUPT_PAGE")).toBeGreaterThan(20);
    expect(totalOf(outcomes, "right")).toBeGreaterThan(100);
  });
});
