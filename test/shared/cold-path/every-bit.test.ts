import { makeDatabaseImages } from "../../support/database-images.ts";
import { test, vi } from "vitest";
import { storeSink } from "../../../shared/replica/edge-bundle/bundle-sink.ts";
import { updateBundle } from "../../../shared/replica/edge-bundle/update-bundle.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { imageAt } from "../../support/ltx-from-images.ts";
import { putSpans } from "../../support/ltx-spans.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";
import { inParallel } from "../../../shared/replica/in-parallel.ts";
import { DamagedStore, flipBit, takeObjects, copyObjects } from "../../support/damaged-store.ts";
import { coldLibrary, outcomeOf } from "../../support/read-every-page.ts";

const TINY = [
  `CREATE TABLE t (v);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 35)
    INSERT INTO t SELECT printf('%080d', i) FROM n`,
  ...[2, 3, 4, 5, 6].map((txid) => `UPDATE t SET v = 'now ${txid}' WHERE rowid = ${5 * txid}`),
];
test("x", async () => {
  const memory = new MemoryStore();
  const replica = replicaIn(memory);
  const images = makeDatabaseImages({ pageSize: 512, transactions: TINY });
  const truth = imageAt(images, 3);
  await putSpans(replica, images, [
    [9, 1, 1],
    [1, 2, 2],
    [0, 2, 2],
  ]);
  const r = await updateBundle(replica, storeSink(replica), { hotBytesMax: 200 });
  await putSpans(replica, images, [[0, 3, 3]]);
  vi.spyOn(console, "warn").mockImplementation(() => {});
  for (const naming of ["by another ETag", "as before"] as const)
    for (const isCopy of [false, true])
      for (const later of [false, true]) {
        const taken = await takeObjects(memory, "db");
        const objects = isCopy ? copyObjects(taken) : taken;
        const sizes = [...objects].map(([k, { bytes }]) => `${k} ${bytes.length}`);
        if (naming === "by another ETag" && !isCopy && !later)
          console.log(
            truth.length,
            r.content.hot.length,
            r.content.roots.length,
            r.content.delta.length,
            sizes.join("\n"),
            [...objects.values()].reduce((n, o) => n + o.bytes.length, 0),
          );
        const counts: Record<string, number> = {};
        const t = performance.now();
        const c = process.cpuUsage();
        for (const [key, { bytes }] of objects) {
          const bits = Array.from({ length: Math.floor((bytes.length * 8) / 7) }, (_, n) => n * 7);
          await inParallel(bits, 32, async (bit) => {
            const store = new DamagedStore(objects, { key, damage: flipBit(bit), naming });
            if (!later) store.strike();
            const o = await outcomeOf(
              coldLibrary(),
              replicaIn(store),
              truth,
              later ? { onOpened: () => store.strike() } : {},
            );
            const k = `${key.slice(3, 11)} ${o}`;
            counts[k] = (counts[k] ?? 0) + 1;
          });
        }
        console.log(
          naming,
          isCopy,
          later,
          performance.now() - t,
          process.cpuUsage(c).user / 1000,
          JSON.stringify(counts, null, 1),
        );
      }
}, 100_000);
