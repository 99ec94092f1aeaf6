/** One plan, opened through an edge bundle and without it: connections to the one are not given to the other. */
import { expect, inject, test } from "vitest";
import { imageAt, type Images } from "../support/ltx-from-images.ts";
import { putSpans } from "../support/ltx-spans.ts";
import { coldReader } from "../support/workerd/cold-reader.ts";
import { ledgerReplica, singles } from "../support/workerd/ledger.ts";

const COUNT = "SELECT count(*) FROM entries";

test("an answer is verified again as soon as the bundle is back, and its pages are read anew", async () => {
  const ledger = ledgerReplica();
  await ledger.put(...singles(1, 3));
  await ledger.bundle();
  const reader = coldReader(ledger.memory);
  const first = await reader.query(COUNT);
  expect(first).toMatchObject({ rows: [[4_000]], verified: true });
  const bundle = await ledger.keys("db/eddy/");
  const contents = await Promise.all(bundle.map((key) => ledger.bytes(key)));
  await ledger.memory.delete(bundle);
  reader.library.forget(reader.replica, { distrust: false });
  for (let time = 0; time < 2; time++) {
    const without = await reader.query(COUNT);
    expect(without).toMatchObject({ txid: first.txid, rows: [[4_000]], verified: false });
  }
  for (const [index, key] of bundle.entries()) await ledger.memory.put(key, contents[index]);
  reader.library.forget(reader.replica, { distrust: false });
  const again = await reader.query(COUNT);
  expect(again).toMatchObject({ txid: first.txid, rows: [[4_000]], verified: true });
});

/** The history with leaves whose first cell begins at their last byte, from page 2 on. */
function withDamagedCells({ pageSize, versions }: Images): Images {
  const damaged = versions.map((_version, index) => {
    const bytes = imageAt({ pageSize, versions }, index + 1);
    for (let start = pageSize; start < bytes.length; start += pageSize) {
      const kind = bytes[start];
      if (kind !== 10 && kind !== 13) continue;
      bytes.set([(pageSize - 1) >> 8, (pageSize - 1) & 0xff], start + 8);
    }
    return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  });
  return { pageSize, versions: damaged.map((bytes) => btoa(bytes)) };
}

/** Counts rows of what was opened by a bundle, whose files have gone: another one is there that cannot be verified. */
async function countInstead(images: Images) {
  const ledger = ledgerReplica();
  await ledger.put(...singles(1, 3));
  await ledger.bundle();
  const reader = coldReader(ledger.memory);
  const at = "txid:3";
  const known = await reader.query("SELECT account FROM entries WHERE id = 1", { at });
  expect(known).toMatchObject({ verified: true });
  await ledger.memory.delete(await ledger.keys("db/"));
  await putSpans(ledger.replica, images, [[9, 1, 3]]);
  return reader.query(COUNT, { at });
}

test("what takes the place of a bundle's files in the middle of a query is read, and not called verified", async () => {
  const answer = await countInstead(inject("ledger"));
  expect(answer).toMatchObject({ rows: [[4_000]], verified: false });
});

test("what takes the place of a bundle's files in the middle of a query is read with a look at each cell", async () => {
  const asked = countInstead(withDamagedCells(inject("ledger")));
  await expect(asked).rejects.toMatchObject({ code: "CORRUPT_PAGE" });
});
