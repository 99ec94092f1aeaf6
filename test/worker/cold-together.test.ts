/** Requests that come at once to an isolate that knows nothing. */
import { describe, expect, test } from "vitest";
import { LooksUnderWay } from "../../worker/replicas/looks-under-way.ts";
import { coldReader } from "../support/workerd/cold-reader.ts";
import { ledgerReplica, singles } from "../support/workerd/ledger.ts";

const WARM = { maxStaleMs: 60_000 };

/** Twenty queries at once, each for a row of its own. */
async function askTogether(reader: ReturnType<typeof coldReader>) {
  const ids = Array.from({ length: 20 }, (_, index) => 17 + 190 * index);
  const responses = await Promise.all(
    ids.map((id) => reader.respond(`SELECT account FROM entries WHERE id = ${id}`, WARM)),
  );
  const answers = await Promise.all(
    responses.map((response) => response.json<{ rows: number[][]; txid: string }>()),
  );
  expect(answers.map(({ rows }) => rows)).toEqual(ids.map((id) => [[id % 97]]));
  return answers.map(({ txid }) => txid);
}

describe("twenty cold requests at once", () => {
  test("look once, with a bundle", async () => {
    const ledger = ledgerReplica();
    await ledger.put(...singles(1, 3));
    await ledger.bundle();
    await ledger.put(...singles(4, 6));
    const reader = coldReader(ledger.memory);
    const txids = await askTogether(reader);
    expect(new Set(txids)).toEqual(new Set(["0000000000000006"]));
    expect(reader.store.lists).toBe(1);
    const counts = Map.groupBy(reader.store.keysRead, (key) => key);
    expect(counts.get("db/eddy/head")).toHaveLength(1);
    for (const txid of [4, 5, 6]) {
      const [key = ""] = await ledger.keys(`db/0000/000000000000000${txid}`);
      expect(counts.get(key)).toHaveLength(1);
    }
  });

  test("look once, without one", async () => {
    const ledger = ledgerReplica();
    await ledger.put(...singles(1, 3));
    const reader = coldReader(ledger.memory);
    await askTogether(reader);
    expect(reader.store.lists).toBe(1);
  });

  test("each look for themselves where the one that looked had no luck", async () => {
    const ledger = ledgerReplica();
    const reader = coldReader(ledger.memory);
    const asked = Array.from({ length: 5 }, () => reader.respond("SELECT 1", WARM));
    for (const outcome of await Promise.allSettled(asked)) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "DB_NOT_FOUND" } });
    }
  });

  test("do not wait for long for one whose client has left", async () => {
    const looks = new LooksUnderWay();
    looks.begin("db");
    await looks.wait("db", undefined);
    expect(looks.has("db")).toBe(true);
    await expect(looks.wait("db", AbortSignal.abort())).rejects.toMatchObject({ code: "ABORTED" });
  });
});
