/** What a query fetches ahead, and what becomes of that when it has ended. */
import { expect, test } from "vitest";
import { holdingStore } from "../support/held-reads.ts";
import { coldReader } from "../support/workerd/cold-reader.ts";
import { ledgerReplica, singles } from "../support/workerd/ledger.ts";

/** Row 500 was touched by it, and lies some leaves behind the first hundred rows. */
const TOUCHING = "0000000000000002-0000000000000002";

test("a query answers while what it fetched ahead is under way, which is cancelled with that", async () => {
  const ledger = ledgerReplica();
  await ledger.put(...singles(1, 16));
  await ledger.bundle();
  const reads = holdingStore(ledger.memory);
  reads.isHolding = true;
  reads.holdsOnly = TOUCHING;
  const ahead = reads.waiting(1);
  const answer = await coldReader(reads).query("SELECT id FROM entries ORDER BY id LIMIT 100");
  expect(answer).toMatchObject({
    verified: true,
    rows: Array.from({ length: 100 }, (_, n) => [n + 1]),
  });
  await ahead;
  expect(reads.held).toEqual([]);
  expect(reads.cancelled).toBe(1);
});
