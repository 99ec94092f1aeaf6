import * as fc from "fast-check";
import { expect, test } from "vitest";
import { listAllFiles } from "../../../shared/replica/load-plan.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { streamDatabase } from "../../../shared/replica/page-stream.ts";
import { restorableTxids } from "../../../shared/replica/restore-plan.ts";
import { openSnapshot } from "../../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { concatBytes, sameBytes } from "../../support/ltx-fixtures.ts";
import { PageHistory, type Transaction } from "../../support/page-history.ts";

const PAGES_MAX = 12;
const TXIDS_MAX = 10;

const aTransaction: fc.Arbitrary<Transaction> = fc.record({
  commit: fc.integer({ min: 1, max: PAGES_MAX }),
  changed: fc.uniqueArray(fc.integer({ min: 1, max: PAGES_MAX }), { maxLength: 4 }),
});

/** Files of any levels and ranges: they overlap, straddle one another and the snapshots, and leave gaps. */
const someFiles = fc.uniqueArray(
  fc.record({
    level: fc.constantFrom(0, 0, 1, 2, 3, 9),
    min: fc.integer({ min: 1, max: TXIDS_MAX }),
    span: fc.oneof(fc.constant(0), fc.nat({ max: 5 })),
  }),
  { minLength: 4, maxLength: 16, selector: ({ level, min, span }) => `${level} ${min} ${span}` },
);

const aReplica = fc.record({
  transactions: fc.array(aTransaction, { minLength: 1, maxLength: TXIDS_MAX }),
  files: someFiles,
  layout: fc.constantFrom("s3" as const, "folder" as const),
});

test("whatever files there are, every TXID that they lead to reads as it was", async () => {
  await fc.assert(
    fc.asyncProperty(aReplica, fc.gen(), async ({ transactions, files, layout }, generate) => {
      const history = new PageHistory();
      for (const transaction of transactions) history.commit(transaction);
      const replica: Replica = { store: new MemoryStore({ pageSize: 7 }), path: "db", layout };
      await history.put(replica, 9, 1, generate(fc.integer, { min: 1, max: history.head }));
      for (const { level, min, span } of files) {
        if (min > history.head) continue;
        // A file of level 0 holds one transaction; what reads a large listing relies on it.
        const max = level === 0 ? min : Math.min(min + span, history.head);
        await history.put(replica, level, level === 9 ? 1 : min, max);
      }
      const cache = new PageCache({ bytesMax: 4_000 });
      for (const txid of restorableTxids(await listAllFiles(replica))) {
        const snapshot = await openSnapshot(replica, { kind: "txid", txid }, { cache });
        const image = history.image(Number(txid));
        const streamed = concatBytes(await Array.fromAsync(streamDatabase(snapshot)));
        expect(sameBytes(streamed, image)).toBe(true);
        const reader = new PageReader(snapshot, { cache });
        for (let pgno = reader.pageCount; pgno >= 1; pgno--) {
          if (!reader.resident(pgno)) await reader.load(pgno);
          expect(reader.resident(pgno)).toEqual(history.page(Number(txid), pgno));
        }
      }
    }),
    { numRuns: 60 },
  );
});
