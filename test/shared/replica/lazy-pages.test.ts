/** Pages of a database whose page index is too long to be read whole. */
import { describe, expect, test } from "vitest";
import { IndexWindows } from "../../../shared/replica/index-windows.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { streamDatabase } from "../../../shared/replica/page-stream.ts";
import { openSnapshot } from "../../../shared/replica/snapshot.ts";
import { countingStore } from "../../support/counting-store.ts";
import {
  GeneratedLtx,
  generatedStore,
  mixed,
  scattered,
  tables,
} from "../../support/generated-ltx.ts";
import { sameBytes } from "../../support/ltx-fixtures.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const LATEST = { kind: "latest" } as const;
const SNAPSHOT = { level: 9, minTxid: 1 } as const;

describe("pages through a long index", () => {
  const file = new GeneratedLtx({ ...SNAPSHOT, commit: 700_000, compressibility: tables });

  test("are the pages of the file, and all that is known of a large database is small", async () => {
    const store = countingStore(generatedStore([file]));
    const cache = new PageCache({ bytesMax: 1_000_000 });
    const windows = new IndexWindows({ bytesMax: 300_000 });
    const snapshot = await openSnapshot(replicaIn(store), LATEST, { cache, windows });
    const reader = new PageReader(snapshot, { cache });
    expect(reader.resident(1)).toBeDefined();
    for (const pgno of [1, 2, ...scattered(699_999, 50), 700_000].filter((pgno) => pgno > 0)) {
      if (!reader.resident(pgno)) await reader.load(pgno);
      expect(sameBytes(reader.resident(pgno)!, file.page(pgno))).toBe(true);
    }
    expect(snapshot.pages.sizeBytes + windows.bytes).toBeLessThanOrEqual(300_000);
    expect(reader.stats.requests).toBe(store.gets - 2);
  });

  test("take one read each once the part of the index is known", async () => {
    const store = countingStore(generatedStore([file]));
    const cache = new PageCache({ bytesMax: 10_000_000 });
    const reader = new PageReader(await openSnapshot(replicaIn(store), LATEST, { cache }), {
      cache,
    });
    await reader.load(300_000);
    for (const pgno of [300_100, 300_200, 299_900]) {
      store.reset();
      await reader.load(pgno);
      expect(store.gets).toBe(1);
      expect(store.bytesRead).toBeLessThan(5_000);
    }
  });
});

describe("a scan through a long index", () => {
  const file = new GeneratedLtx({ ...SNAPSHOT, commit: 700_000, compressibility: mixed });
  const store = countingStore(generatedStore([file]));
  const first = 400_000;
  const count = 12_000;

  test("by a query takes few reads for the index beside those of its pages", async () => {
    const cache = new PageCache({ bytesMax: 100_000_000 });
    const snapshot = await openSnapshot(replicaIn(store), LATEST, { cache });
    const reader = new PageReader(snapshot, { cache });
    store.reset();
    for (let pgno = first; pgno < first + count; pgno++) {
      if (!reader.resident(pgno)) await reader.load(pgno);
      expect(reader.resident(pgno)).toBe(reader.resident(pgno));
    }
    expect(sameBytes(reader.resident(first + 5_000)!, file.page(first + 5_000))).toBe(true);
    const frameBytes = file.offsets[first + count - 1] - file.offsets[first - 1];
    expect(frameBytes).toBeGreaterThan(20_000_000);
    expect(store.bytesRead).toBeLessThan(1.5 * frameBytes);
    expect(store.gets).toBeLessThan(80);
    expect(store.inFlightMax).toBe(6);
  });

  test("by a download takes hardly more than its pieces", async () => {
    const snapshot = await openSnapshot(replicaIn(store), LATEST);
    store.reset();
    const range = { offset: (first - 1) * 4_096, length: count * 4_096 };
    let next = first;
    for await (const piece of streamDatabase(snapshot, { range })) {
      expect(sameBytes(piece.subarray(0, 4_096), file.page(next))).toBe(true);
      next += piece.length / 4_096;
    }
    expect(next).toBe(first + count);
    const pieces = Math.ceil((count * 4_096) / 1_048_576);
    expect(store.gets).toBeLessThan(1.5 * pieces);
  });
});
