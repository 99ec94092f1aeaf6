/** Which files lead on from an edge bundle, by a listing alone. */
import { beforeEach, describe, expect, test } from "vitest";
import { LocationCache } from "../../shared/replica/edge-bundle/location-cache.ts";
import { readBundleHead } from "../../shared/replica/edge-bundle/read-bundle-head.ts";
import { formatLtxKey } from "../../shared/replica/ltx-key.ts";
import { checkBundle } from "../../worker/replicas/check-bundle.ts";
import { countingStore } from "../support/counting-store.ts";
import { nameOf, replicaIn, txid } from "../support/replica-fixtures.ts";
import { ledgerReplica, type LedgerReplica } from "../support/workerd/ledger.ts";

let ledger: LedgerReplica;

beforeEach(async () => {
  ledger = ledgerReplica();
  await ledger.put([9, 1, 5], [0, 5, 5]);
  await ledger.bundle();
});

/** Files that nobody opens here. */
async function name(level: number, first: number, last: number, step = last - first + 1) {
  for (let min = first; min <= last; min += step) {
    const range = { minTxid: txid(min), maxTxid: txid(min + step - 1) };
    await ledger.memory.put(formatLtxKey(ledger.replica, { level, ...range }), new Uint8Array(1));
  }
}

async function verdict() {
  const store = countingStore(ledger.memory);
  const replica = replicaIn(store);
  const { head } = await readBundleHead(replica, {
    cache: new LocationCache({ bytesMax: 65_536 }),
  });
  if (!head) throw new Error("there is no bundle");
  const page = await store.list({ prefix: "db/" });
  store.reset();
  const checked = await checkBundle(replica, head, page, undefined);
  expect({ lists: store.lists, gets: store.gets }).toEqual({ lists: 0, gets: 0 });
  return checked.bundle ? checked.newer.map(nameOf) : checked.reason;
}

describe("behind a bundle", () => {
  test("nothing may be new", async () => {
    expect(await verdict()).toEqual([]);
  });

  test("up to 24 files of level 0 are taken as they are, compacted or not", async () => {
    await name(0, 6, 29, 1);
    await name(1, 1, 20, 20);
    expect(await verdict()).toEqual(Array.from({ length: 24 }, (_, n) => `L0[${n + 6}]`));
  });

  test("of more, those that were compacted are taken in their compacted form", async () => {
    await name(0, 6, 40, 1);
    await name(1, 1, 20, 10);
    await name(2, 21, 35, 15);
    // The first begins before the bundle's TXID: it leads on from any state within it.
    const singles = ["L0[36]", "L0[37]", "L0[38]", "L0[39]", "L0[40]"];
    expect(await verdict()).toEqual(["L1[1-10]", "L1[11-20]", "L2[21-35]", ...singles]);
  });

  test("a newer snapshot is no way on, as it has all pages", async () => {
    await name(0, 6, 40, 1);
    await name(9, 1, 40);
    expect(await verdict()).toHaveLength(35);
  });

  test("more than 64 files are no gain", async () => {
    await name(0, 6, 70, 1);
    expect(await verdict()).toContain("are many");
  });

  test("a gap leads nowhere", async () => {
    await name(0, 7, 9, 1);
    expect(await verdict()).toContain("have a gap");
    await name(1, 6, 6);
    expect(await verdict()).toEqual(["L1[6]", "L0[7]", "L0[8]", "L0[9]"]);
  });
});
