/** Damage here and there in larger replicas, with and without an edge bundle. */
import { test, vi } from "vitest";
import { storeSink } from "../../../shared/replica/edge-bundle/bundle-sink.ts";
import { updateBundle } from "../../../shared/replica/edge-bundle/update-bundle.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { flipAt, runTrials, type Trial } from "../../support/damage-trials.ts";
import { makeDatabaseImages } from "../../support/database-images.ts";
import { copyObjects, takeObjects } from "../../support/damaged-store.ts";
import { imageAt } from "../../support/ltx-from-images.ts";
import { putSpans } from "../../support/ltx-spans.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)";
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
function random(seed: number) {
  let s = seed;
  return (max: number) => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return Math.floor((s / 2 ** 32) * max);
  };
}
test.each([512, 4096, 65536])(
  "x %d",
  async (pageSize) => {
    vi.spyOn(console, "warn").mockImplementation(() => {});
    const images = makeDatabaseImages({ pageSize, transactions: HISTORY });
    const memory = new MemoryStore();
    const replica = replicaIn(memory);
    await putSpans(replica, images, [
      [9, 1, 1],
      [2, 2, 3],
      [1, 4, 5],
      [0, 5, 5],
      [0, 6, 6],
    ]);
    const r = await updateBundle(replica, storeSink(replica), { hotBytesMax: 3_000 });
    await putSpans(replica, images, [
      [0, 7, 7],
      [0, 8, 8],
    ]);
    const bundled = await takeObjects(memory, "db");
    const bare = new Map([...bundled].filter(([k]) => !k.startsWith("db/eddy")));
    console.log(
      pageSize,
      imageAt(images, 8).length,
      [...bundled].map(([k, o]) => `${k} ${o.bytes.length}`).join("\n"),
      r.content.delta.length,
      r.content.hot.length,
    );
    const rand = random(pageSize);
    for (const [name, objects] of [
      ["bundled", bundled],
      ["copy", copyObjects(bundled)],
      ["bare", bare],
    ] as const)
      for (const at of [undefined, "txid:8", "txid:7", "txid:6"])
        for (const naming of ["by another ETag", "as before"] as const)
          for (const moment of ["before it is opened", "before it is read"] as const) {
            const keys = [...objects.keys()];
            const trials: Trial[] = Array.from({ length: Number(process.env.N ?? 20) }, () => {
              const key = keys[rand(keys.length)]!;
              return flipAt(key, rand(objects.get(key)!.bytes.length * 8));
            });
            const truth = imageAt(images, at ? Number(at.slice(5)) : 8);
            const t = performance.now();
            const o = await runTrials(objects, trials, { truth, moment, naming, at });
            console.log(
              name,
              at,
              naming,
              moment,
              Math.round(performance.now() - t),
              o.names.map((n) => `${n}: ${o.count(n)}`).join(", "),
              JSON.stringify(o.beside(["right", "right verified", "CORRUPT_PAGE"])),
            );
          }
  },
  300_000,
);
