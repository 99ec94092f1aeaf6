/** One plan, opened through an edge bundle and without it: connections to the one are not given to the other. */
import { expect, test } from "vitest";
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
