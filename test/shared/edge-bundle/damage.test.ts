import { beforeAll, describe, expect, it } from "vitest";
import { openPart, openRecord, partOf } from "../../../shared/replica/edge-bundle/base-reader.ts";
import { formatBaseKey, formatHeadKey } from "../../../shared/replica/edge-bundle/bundle-keys.ts";
import { decodeHead } from "../../../shared/replica/edge-bundle/head-format.ts";
import { loadBase } from "../../../shared/replica/edge-bundle/load-base.ts";
import { LocationCache } from "../../../shared/replica/edge-bundle/location-cache.ts";
import {
  readBundleHead,
  snapshotOf,
} from "../../../shared/replica/edge-bundle/read-bundle-head.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { childPgnos } from "../../../shared/sqlite/btree-page.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import {
  bundledReplica,
  locate,
  openBundle,
  rowsSql,
  type BundledReplica,
} from "../../support/bundle-fixtures.ts";
import { imageAt } from "../../support/ltx-from-images.ts";
import type { FileSpan } from "../../support/ltx-spans.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const SCRIPT = {
  pageSize: 512,
  transactions: [rowsSql("a", 1_500, 20), "UPDATE a SET v = 'x' WHERE id % 50 = 0"],
};
const SPANS: readonly FileSpan[] = [
  [9, 1, 1],
  [0, 2, 2],
];

let bundled: BundledReplica;
let head: Uint8Array;
let base: Uint8Array;
let baseKey: string;

beforeAll(async () => {
  bundled = await bundledReplica(SCRIPT, { spans: SPANS, hotBytesMax: 1_000 });
  const { replica, report } = bundled;
  baseKey = formatBaseKey(replica, report.base);
  head = (await replica.store.get(formatHeadKey(replica)))!.bytes;
  base = (await replica.store.get(baseKey))!.bytes;
});

/** A copy of the replica in which the base is another one, or gone. */
async function replicaWithBase(bytes: Uint8Array | undefined) {
  const replica = replicaIn(new MemoryStore());
  const { objects } = await bundled.replica.store.list({ prefix: "db/" });
  for (const { key } of objects) {
    const stored = await bundled.replica.store.get(key);
    if (key !== baseKey) await replica.store.put(key, stored!.bytes);
    else if (bytes) await replica.store.put(key, bytes);
  }
  return replica;
}

/** The database by a reader that begins with the bundle, page by page, and from each interior page to its children. */
async function readThrough(replica: BundledReplica["replica"]) {
  const opened = await openBundle(replica);
  const { objects } = await replica.store.list({ prefix: "db/000" });
  const etags = new Map(objects.map(({ key, etag }) => [key, etag]));
  const files = opened.plan.files.map((file) => ({ ...file, etag: etags.get(file.key)! }));
  const snapshot = { ...snapshotOf(replica, opened), files, plan: { ...opened.plan, files } };
  const cache = new PageCache({ bytesMax: 8 * 1024 * 1024 });
  const reader = new PageReader(snapshot, { cache });
  const image = imageAt(bundled.images, 2);
  for (let pgno = 1; pgno <= opened.commit; pgno++) {
    await reader.load(pgno);
    const page = reader.resident(pgno)!;
    for (const child of childPgnos(pgno, page) ?? []) await reader.load(child);
    const expected = image.subarray((pgno - 1) * 512, pgno * 512);
    expect(Buffer.from(page).equals(expected)).toBe(true);
  }
  return { reader, opened };
}

describe("a head", () => {
  it("is as good as none wherever one of its bytes is another", () => {
    for (let index = 0; index < head.length; index++) {
      const damaged = head.slice();
      damaged[index] ^= 1 << (index % 8);
      const reading = decodeHead(damaged);
      expect(reading).toEqual({ reason: expect.any(String) });
    }
  });

  it("is as good as none wherever it is cut off", () => {
    for (let length = 0; length < head.length; length += 7) {
      expect(decodeHead(head.subarray(0, length))).toEqual({ reason: expect.any(String) });
    }
  });

  it("is passed over with a reason where it is missing, damaged or of another version", async () => {
    const replica = replicaIn(new MemoryStore());
    const cache = new LocationCache({ bytesMax: 64 * 1024 });
    const reasonFor = async (bytes?: Uint8Array) => {
      if (bytes) await replica.store.put(formatHeadKey(replica), bytes);
      const reading = await readBundleHead(replica, { cache });
      return reading.head ? "none" : reading.reason;
    };
    expect(await reasonFor()).toBe('there is no "db/eddy/head"');
    expect(await reasonFor(new Uint8Array(5))).toContain("it has 5 bytes");
    expect(await reasonFor(new Uint8Array(500))).toContain('does not begin with "EDDYHEAD"');
    expect(await reasonFor(head.slice().fill(7, 300, 301))).toContain("not what its checksum says");
    expect(await reasonFor(head)).toBe("none");
  });
});

describe("a base", () => {
  it("answers wrongly wherever one of its bytes is another: never", async () => {
    let noticed = 0;
    for (let index = 0; index < base.length; index += 97) {
      const damaged = base.slice();
      damaged[index] ^= 1 << (index % 8);
      const { opened } = await readThrough(await replicaWithBase(damaged));
      if (opened.locator.fault === "base-damaged") noticed++;
    }
    // The others hit parts that nobody asked for.
    expect(noticed).toBeGreaterThan(20);
  });

  it("that is read whole says so wherever one of its bytes is another", async () => {
    const { content } = decodeHead(head);
    const visitor = { onRecord: () => undefined, onLocation: () => undefined };
    // What its last eight bytes say, the head says too.
    for (let index = 0; index < base.length - 8; index += 5) {
      const damaged = base.slice();
      damaged[index] ^= 1 << (index % 8);
      const replica = replicaIn(new MemoryStore());
      await replica.store.put(baseKey, damaged);
      await expect(loadBase(replica, content!, visitor)).rejects.toMatchObject({
        code: "CORRUPT_PAGE",
      });
    }
  });

  it("notices every single bit of a part that is another, by the part alone", () => {
    const { content } = decodeHead(head);
    const { number, place } = partOf(content!.base, 1);
    const records = content!.roots.filter(({ record }) => record);
    expect(records.length).toBeGreaterThan(0);
    const [{ pgno, record }] = records;
    const open = {
      record: (unit: Uint8Array) => openRecord(content!.base, { pgno, pageSize: 512 }, unit),
      part: (unit: Uint8Array) => openPart(content!.base, number, unit, () => undefined),
    };
    for (const [name, { offset, size }] of [
      ["record", record!],
      ["part", place],
    ] as const) {
      const unit = base.subarray(offset, offset + size);
      open[name](unit);
      for (let bit = 0; bit < 8 * unit.length; bit++) {
        const damaged = unit.slice();
        damaged[bit >> 3] ^= 1 << (bit & 7);
        expect(() => open[name](damaged)).toThrow(
          expect.objectContaining({ code: "CORRUPT_PAGE" }),
        );
      }
    }
  });

  it("that is gone is missed by name, and the reader plans again without it", async () => {
    const replica = await replicaWithBase(undefined);
    const { locator, commit } = await openBundle(replica);
    await expect(locate(locator, commit, replica)).rejects.toMatchObject({
      code: "OBJECT_MISSING",
      message: expect.stringContaining(baseKey),
    });
    expect(locator.fault).toBe("base-missing");
    const { reader } = await readThrough(replica);
    expect(reader.snapshot.pages).not.toBe(locator);
  });

  it("of another history under the same key is noticed", async () => {
    const transactions = [rowsSql("b", 1_500, 20), "UPDATE b SET v = 'x' WHERE id % 50 = 0"];
    const other = await bundledReplica({ pageSize: 512, transactions }, { spans: SPANS });
    const foreignKey = formatBaseKey(other.replica, other.report.base);
    expect(foreignKey).not.toBe(baseKey);
    const foreign = await other.replica.store.get(foreignKey);
    const { opened } = await readThrough(await replicaWithBase(foreign!.bytes));
    expect(opened.locator.fault).toBe("base-damaged");
  });
});
