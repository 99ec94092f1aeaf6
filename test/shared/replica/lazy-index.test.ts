/** Page indexes of millions of entries, of which only parts are read. */
import { describe, expect, test } from "vitest";
import { IndexWindows } from "../../../shared/replica/index-windows.ts";
import { LazyIndex } from "../../../shared/replica/lazy-index.ts";
import { listLtxFiles } from "../../../shared/replica/list-ltx-files.ts";
import { openLtxFile } from "../../../shared/replica/ltx-file.ts";
import { openSnapshot } from "../../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import { countingStore } from "../../support/counting-store.ts";
import {
  GeneratedLtx,
  generatedStore,
  mixed,
  scattered,
  tables,
} from "../../support/generated-ltx.ts";
import { indexBlock } from "../../support/ltx-fixtures.ts";
import { L, replicaIn } from "../../support/replica-fixtures.ts";

const LATEST = { kind: "latest" } as const;
/** A look-up of at most two reads takes no more, and one read by itself 192 KiB. */
const TWO_READS_BYTES_MAX = (48 + 96) * 1024;

function everyNth(n: number, commit: number): Uint32Array {
  return Uint32Array.from({ length: Math.floor(commit / n) }, (_, index) => (index + 1) * n);
}

/** Pages that were changed here and there, in a database of which some parts are busier. */
function uneven(commit: number): Uint32Array {
  const pgnos: number[] = [];
  for (let pgno = 1; pgno <= commit;) {
    pgnos.push(pgno);
    const isBusy = Math.floor(pgno / 200_000) % 2 === 0;
    pgno += 1 + ((Math.imul(pgno, 0x9e37_79b1) >>> 8) % (isBusy ? 4 : 30));
  }
  return Uint32Array.from(pgnos);
}

const SNAPSHOT = { level: 9, minTxid: 1 } as const;
const LEVEL_3 = { level: 3, minTxid: 2, maxTxid: 900 } as const;

const indexes: [string, number, () => GeneratedLtx][] = [
  [
    "a snapshot of 10 GB, table by table",
    2,
    () => new GeneratedLtx({ ...SNAPSHOT, commit: 2_600_000, compressibility: tables }),
  ],
  [
    "a snapshot with pages of 512 bytes that compress as they like",
    2,
    () =>
      new GeneratedLtx({ ...SNAPSHOT, commit: 1_000_000, pageSize: 512, compressibility: mixed }),
  ],
  [
    "a snapshot with pages of 64 KiB",
    2,
    () =>
      new GeneratedLtx({ ...SNAPSHOT, commit: 200_000, pageSize: 65_536, compressibility: tables }),
  ],
  [
    "a snapshot that ends with a long run of zeros",
    2,
    () =>
      new GeneratedLtx({
        ...SNAPSHOT,
        commit: 800_000,
        compressibility: (pgno) => (pgno < 200_000 ? 0.3 : 0.999),
      }),
  ],
  [
    "a file of every seventh page",
    2,
    () =>
      new GeneratedLtx({
        ...LEVEL_3,
        commit: 3_000_000,
        pgnos: everyNth(7, 3_000_000),
        compressibility: mixed,
      }),
  ],
  [
    "a file of pages of a database of which some parts are busier",
    3,
    () =>
      new GeneratedLtx({
        ...LEVEL_3,
        commit: 3_000_000,
        pgnos: uneven(3_000_000),
        compressibility: tables,
      }),
  ],
];

/** The index of one file, of which nothing is known but what opening it showed. */
async function openIndex(file: GeneratedLtx, store: ObjectStore, windows: IndexWindows) {
  const replica = replicaIn(store);
  const [info] = await Array.fromAsync(listLtxFiles(replica, { level: file.level }));
  const opened = await openLtxFile(replica, info, { windows });
  expect(opened.index).toBeUndefined();
  return new LazyIndex(opened, { file: 4, windows });
}

describe.each(indexes)("%s", (_name, readsMax, generate) => {
  const file = generate();
  const store = countingStore(generatedStore([file]));
  const read = { replica: replicaIn(store) };

  test("is opened with two reads side by side, of 64 KiB or what its index may take", async () => {
    store.reset();
    await openIndex(file, store, new IndexWindows({ bytesMax: 0 }));
    expect({ gets: store.gets, rounds: store.rounds }).toEqual({ gets: 2, rounds: 2 });
    expect(store.bytesRead).toBeLessThanOrEqual((64 + 512) * 1024);
  });

  test("tells where any page lies with a few reads of bounded size", async () => {
    let most = 0;
    for (const n of scattered(file.pgnos.length, 60)) {
      // Nothing that was read for another page helps.
      const index = await openIndex(file, store, new IndexWindows({ bytesMax: 0 }));
      const pgno = file.pgnos[n];
      store.reset();
      const { location } = await index.find(pgno, read);
      expect(location).toEqual({ file: 4, ...file.place(pgno) });
      most = Math.max(most, store.gets);
      if (store.gets <= 2) expect(store.bytesRead).toBeLessThanOrEqual(TWO_READS_BYTES_MAX);
      else expect(store.bytesRead).toBeLessThanOrEqual(TWO_READS_BYTES_MAX + 192 * 1024);
    }
    expect(most).toBeLessThanOrEqual(readsMax);
  });

  test("keeps what was read: neighbours are known, and what is kept is bounded", async () => {
    const windows = new IndexWindows({ bytesMax: 500_000 });
    const index = await openIndex(file, store, windows);
    for (const n of scattered(file.pgnos.length - 200, 40)) {
      await index.find(file.pgnos[n], read);
      store.reset();
      for (let next = n; next < n + 200; next++) {
        const pgno = file.pgnos[next];
        const { location } = await index.find(pgno, read);
        expect(location).toEqual({ file: 4, ...file.place(pgno) });
      }
      expect(store.gets).toBeLessThanOrEqual(1);
      expect(windows.bytes).toBeLessThanOrEqual(500_000);
    }
  });

  test("knows of a page that it does not hold", async () => {
    const index = await openIndex(file, store, new IndexWindows({ bytesMax: 500_000 }));
    const last = file.pgnos.at(-1)!;
    for (const n of scattered(last, 50)) {
      const place = file.place(n + 1);
      const { location } = await index.find(n + 1, read);
      expect(location).toEqual(place ? { file: 4, ...place } : null);
      expect(index.get(n + 1)).toEqual(location);
    }
    expect(index.get(last + 1)).toBeNull();
  });
});

describe("an index that does not tell where its entries begin", () => {
  // Offset, size and next page number look like an entry too, as sizes grow by page numbers.
  const entries: [number, number, number][] = [[10, 100, 200]];
  while (entries.length < 60_000) {
    const [pgno, offset, size] = entries.at(-1)!;
    entries.push([pgno + 1, offset + size, size + pgno + 1]);
  }
  const bytes = indexBlock(entries);
  const store = countingStore(new MemoryStore());
  const replica = replicaIn(store);

  test("is read from where one is known to begin, and never guessed at", async () => {
    await store.put("db/x", bytes);
    const [info] = (await store.list({ prefix: "db/" })).objects;
    const file = {
      info: { ...L(3, 2, 9, 0), ...info },
      bounds: { offset: 0, length: bytes.length, lastPgno: entries.at(-1)![0] },
    };
    for (const n of [0, 59_999, ...scattered(60_000, 20)]) {
      const windows = new IndexWindows({ bytesMax: 0 });
      const index = new LazyIndex(file, { file: 0, windows });
      const [pgno, offset, size] = entries[n];
      const { location } = await index.find(pgno, { replica });
      expect(location).toEqual({ file: 0, offset, size });
    }
  });
});

describe("a long index that is damaged", () => {
  const file = new GeneratedLtx({ ...SNAPSHOT, commit: 200_000, compressibility: mixed });
  const store = generatedStore([file]);
  const end = file.info.sizeBytes - 24;
  const start = end - file.index.length;

  /** The store with one byte of the file changed. */
  function damaged(at: number): ObjectStore {
    return {
      ...store,
      get: async (key, options) => {
        const stored = await store.get(key, options);
        const { range } = options ?? {};
        if (!stored || !range || "suffix" in range) return stored;
        const bytes = stored.bytes.slice();
        if (at >= range.offset && at < range.offset + bytes.length)
          bytes[at - range.offset] ^= 0x11;
        return { ...stored, bytes };
      },
    };
  }

  test.each([
    ["in the middle", start + Math.round(file.index.length / 2)],
    ["at its end", end - 3],
    ["in its closing zero", end - 1],
  ])("%s is CORRUPT_PAGE and named", async (_name, at) => {
    const replica = replicaIn(damaged(at));
    const attempt = (async () => {
      const { pages } = await openSnapshot(replica, LATEST);
      for (let pgno = 1; pgno <= 200_000; pgno += 500) {
        const { location } = await pages.find(pgno, { replica });
        expect(location).toEqual({ file: 0, ...file.place(pgno) });
      }
    })();
    await expect(attempt).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: expect.stringMatching(new RegExp(`^"${file.key}" is damaged: `)),
    });
  });
});

test("parts of an index that do not fit together are CORRUPT_PAGE, sound as each is by itself", async () => {
  // Its pages come twice.
  const entries = Array.from({ length: 60_000 }, (_, n): [number, number, number] => [
    1 + (n % 30_000),
    100 + 500 * n,
    500,
  ]);
  const bytes = indexBlock(entries);
  const store = new MemoryStore();
  await store.put("db/x", bytes);
  const [info] = (await store.list({ prefix: "db/" })).objects;
  const file = {
    info: { ...L(3, 2, 9, 0), ...info },
    bounds: { offset: 0, length: bytes.length, lastPgno: 30_000 },
  };
  const index = new LazyIndex(file, {
    file: 0,
    windows: new IndexWindows({ bytesMax: 10_000_000 }),
  });
  const replica = replicaIn(store);
  const all = [29_500, 5_500, ...scattered(29_000, 40)];
  const attempt = (async () => {
    for (const pgno of all) await index.find(pgno + 1, { replica });
  })();
  await expect(attempt).rejects.toMatchObject({
    code: "CORRUPT_PAGE",
    message: '"db/x" is damaged: the parts of its page index do not fit together',
  });
});
