/**
 * One bit of a stored object turned over where it lies, as a disk does it: the store goes on to call the object
 * what it called it before. A reader that begins with a bundle gives out the right pages, or names the object.
 */
import { describe, expect, test } from "vitest";
import { isReplicaError } from "../../../shared/errors.ts";
import { LocationCache } from "../../../shared/replica/edge-bundle/location-cache.ts";
import {
  readBundleHead,
  snapshotOf,
} from "../../../shared/replica/edge-bundle/read-bundle-head.ts";
import { loadPlan } from "../../../shared/replica/load-plan.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { extendSnapshot, openPlan, type Snapshot } from "../../../shared/replica/snapshot.ts";
import { childPgnos } from "../../../shared/sqlite/btree-page.ts";
import { resolveRange } from "../../../shared/storage/byte-range.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import { bundledReplica, rowsSql } from "../../support/bundle-fixtures.ts";
import { imageAt } from "../../support/ltx-from-images.ts";
import { patched, sameBytes } from "../../support/ltx-fixtures.ts";
import { putSpans, type FileSpan } from "../../support/ltx-spans.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const PAGE_SIZE = 512;
const BUNDLED: readonly FileSpan[] = [
  [9, 1, 1],
  [0, 2, 2],
];
const NEWER: readonly FileSpan[] = [[0, 3, 3]];

/** A replica whose bundle has a delta, and what is newer than the bundle. */
async function replicaOf(rows: number) {
  const update = (id: number) => `UPDATE a SET v = 'changed' WHERE id % ${rows} = ${id}`;
  const script = {
    pageSize: PAGE_SIZE,
    transactions: [rowsSql("a", rows, 20), update(7), update(21)],
  };
  const { replica, images } = await bundledReplica(script, { spans: BUNDLED, hotBytesMax: 1 });
  await putSpans(replica, images, NEWER);
  const { objects } = await replica.store.list({ prefix: "db/" });
  return { store: replica.store, objects, image: imageAt(images, 3) };
}

function rotten(store: ObjectStore, key: string, bit: number): ObjectStore {
  return {
    list: (options) => store.list(options),
    get: async (wanted, options) => {
      const stored = await store.get(wanted, options);
      if (!stored || wanted !== key) return stored;
      const at = Math.floor(bit / 8) - resolveRange(options?.range, stored.totalBytes).offset;
      if (at < 0 || at >= stored.bytes.length) return stored;
      return { ...stored, bytes: patched(stored.bytes, at, stored.bytes[at] ^ (1 << (bit % 8))) };
    },
    put: (target, body, options) => store.put(target, body, options),
    delete: (keys, options) => store.delete(keys, options),
  };
}

async function open(replica: Replica, cache: PageCache): Promise<Snapshot> {
  const locations = new LocationCache({ bytesMax: 65_536 });
  const { head } = await readBundleHead(replica, { cache: locations });
  const plan = await loadPlan(replica, { kind: "latest" });
  if (!head) return openPlan(replica, plan, { cache });
  const newer = plan.files.filter(({ minTxid }) => minTxid > head.txid);
  return extendSnapshot(snapshotOf(replica, head), newer, { cache });
}

/** Reads every page by a reader that begins with nothing: from each interior page to its children. */
async function readAll(store: ObjectStore, image: Uint8Array): Promise<"right" | "wrong"> {
  const cache = new PageCache({ bytesMax: 1_000_000 });
  const snapshot = await open(replicaIn(store), cache);
  const reader = new PageReader(snapshot, { cache });
  if (snapshot.commit !== image.length / PAGE_SIZE) return "wrong";
  for (let pgno = 1; pgno <= snapshot.commit; pgno++) {
    if (!reader.resident(pgno)) await reader.load(pgno);
    const page = reader.resident(pgno);
    const expected = image.subarray((pgno - 1) * PAGE_SIZE, pgno * PAGE_SIZE);
    if (!page || !sameBytes(page, expected)) return "wrong";
    for (const child of childPgnos(pgno, page) ?? []) await reader.load(child);
  }
  return "right";
}

/** What became of a bit, and how often, by the level of the object or what it is of the bundle. */
async function turnOver(rows: number, step: number): Promise<Map<string, number>> {
  const { store, objects, image } = await replicaOf(rows);
  expect(await readAll(store, image)).toBe("right");
  const outcomes = new Map<string, number>();
  for (const { key, sizeBytes } of objects) {
    const kind = key.split("/")[1] === "eddy" ? "bundle" : "files";
    for (let bit = 0; bit < 8 * sizeBytes; bit += step) {
      const outcome = await readAll(rotten(store, key, bit), image).catch((error: unknown) => {
        const isNamed = isReplicaError(error, "CORRUPT_PAGE") && error.message.includes(`"${key}"`);
        if (!isNamed) throw error;
        return "named";
      });
      if (outcome === "wrong") throw new Error(`bit ${bit} of "${key}" changes a page`);
      const name = `${kind}: ${outcome}`;
      outcomes.set(name, (outcomes.get(name) ?? 0) + 1);
    }
  }
  return outcomes;
}

describe("a bit of any object that is turned over leaves the right pages, or an error that names the object", () => {
  test("whichever it is of a small replica", { timeout: 300_000 }, async () => {
    const outcomes = await turnOver(30, 1);
    // The bundle can be done without; of the files, what the bundle knows is not read again.
    expect([...outcomes.keys()].toSorted()).toEqual([
      "bundle: right",
      "files: named",
      "files: right",
    ]);
  });

  test("in samples of a larger one", { timeout: 300_000 }, async () => {
    const outcomes = await turnOver(1_500, 999);
    expect(outcomes.get("files: named")).toBeGreaterThan(10);
    expect(outcomes.get("bundle: right")).toBeGreaterThan(10);
  });
});
