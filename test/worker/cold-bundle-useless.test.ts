/** What may be wrong with an edge bundle: the rows are the same, for more requests. */
import { beforeEach, describe, expect, inject, test, vi } from "vitest";
import { formatBasePrefix, formatHeadKey } from "../../shared/replica/edge-bundle/bundle-keys.ts";
import { putSpans } from "../support/ltx-spans.ts";
import { coldReader } from "../support/workerd/cold-reader.ts";
import { ledgerReplica, singles, type LedgerReplica } from "../support/workerd/ledger.ts";

/** Row 3001 lies in a leaf that nothing has touched since the first transaction. */
const ROW = "SELECT account FROM entries WHERE id = 3001";
const ROW_ANSWER = [[3001 % 97]];
const NOTE = "SELECT note FROM entries WHERE id = ";

let ledger: LedgerReplica;

beforeEach(() => {
  ledger = ledgerReplica();
});

/** Nothing is logged about bundles that are not there, and one line about each that is dropped. */
function watchLog() {
  const log = vi.spyOn(console, "warn").mockImplementation(() => {});
  return {
    reasons: () => log.mock.calls.map(([line]) => (JSON.parse(String(line)) as Dropped).reason),
    stop: () => log.mockRestore(),
  };
}

interface Dropped {
  readonly reason: string;
}

describe("a bundle that is of no use leaves the rows as they are", () => {
  test("because there is none: one more read beside the list", async () => {
    await ledger.put(...singles(1, 3));
    const log = watchLog();
    const answer = await coldReader(ledger.memory).query(ROW);
    expect(answer).toMatchObject({ rows: ROW_ANSWER, verified: false, lists: 1 });
    expect(answer.keysRead[0]).toBe(formatHeadKey(ledger.replica));
    expect(log.reasons()).toEqual([]);
    log.stop();
  });

  test.each([
    ["a bit of it is turned over", (head: Uint8Array) => flip(head, head.length >> 1)],
    ["it is cut off", (head: Uint8Array) => head.slice(0, head.length - 100)],
    ["it is of another version", (head: Uint8Array) => flip(head, 11)],
    ["it is empty", () => new Uint8Array()],
  ])("because %s", async (_what, damage) => {
    await ledger.put(...singles(1, 3));
    await ledger.bundle();
    await ledger.memory.put(
      formatHeadKey(ledger.replica),
      damage(await ledger.bytes(formatHeadKey(ledger.replica))),
    );
    const answer = await coldReader(ledger.memory).query(ROW);
    expect(answer).toMatchObject({ txid: "0000000000000003", rows: ROW_ANSWER, verified: false });
  });

  test("because objects that it names have gone", async () => {
    await ledger.put(...singles(1, 6));
    await ledger.bundle();
    await ledger.put([9, 1, 6]);
    await ledger.memory.delete((await ledger.keys("db/0000/")).slice(0, 5));
    const log = watchLog();
    const answer = await coldReader(ledger.memory).query(ROW);
    expect(answer).toMatchObject({ txid: "0000000000000006", rows: ROW_ANSWER });
    expect(log.reasons()).toEqual([expect.stringContaining("is gone")]);
    log.stop();
  });

  test.each([
    ["longer", 6],
    ["as long", 3],
    ["shorter", 2],
  ])("because the path was wiped and began anew, and is %s now", async (_what, last) => {
    await ledger.put(...singles(1, 3));
    await ledger.bundle();
    await ledger.memory.delete(await ledger.keys("db/0000/"));
    // Other rows under the same TXIDs.
    const shop = inject("shop");
    const images = { ...shop, versions: [...shop.versions, ...shop.versions] };
    await putSpans(ledger.replica, images, singles(1, last));
    const log = watchLog();
    const answer = await coldReader(ledger.memory).query("SELECT count(*) FROM items");
    expect(answer.rows).toEqual([[[3, 400, 100][(last - 1) % 3]]]);
    expect(log.reasons()).toHaveLength(1);
    log.stop();
  });

  test("because another history has more files than one page of a listing", async () => {
    ledger = ledgerReplica(4);
    await ledger.put(...singles(1, 6));
    await ledger.bundle();
    await ledger.memory.delete(await ledger.keys("db/0000/"));
    const shop = inject("shop");
    const images = { ...shop, versions: [1, 2, 3].flatMap(() => shop.versions) };
    await putSpans(ledger.replica, images, singles(1, 9));
    const log = watchLog();
    const answer = await coldReader(ledger.memory).query("SELECT count(*) FROM items");
    expect(answer).toMatchObject({ txid: "0000000000000009", rows: [[100]] });
    expect(log.reasons()).toEqual([expect.stringContaining("is of another history")]);
    log.stop();
  });

  test("because level 0 has been emptied, which retention never does", async () => {
    await ledger.put(...singles(1, 5));
    await ledger.bundle();
    await ledger.memory.delete(await ledger.keys("db/0000/"));
    await ledger.put([9, 1, 5]);
    const log = watchLog();
    const answer = await coldReader(ledger.memory).query(ROW);
    expect(answer).toMatchObject({ txid: "0000000000000005", rows: ROW_ANSWER, lists: 2 });
    expect(log.reasons()).toEqual(["level 0 does not go on to the bundle's TXID"]);
    log.stop();
  });

  test("because its base has gone", async () => {
    await ledger.put(...singles(1, 3));
    await ledger.bundle(0);
    await ledger.memory.delete(await ledger.keys(formatBasePrefix(ledger.replica)));
    const answer = await coldReader(ledger.memory).query(ROW);
    expect(answer).toMatchObject({ txid: "0000000000000003", rows: ROW_ANSWER });
  });

  test("because its base is damaged", async () => {
    await ledger.put(...singles(1, 3));
    await ledger.bundle(0);
    const [key = ""] = await ledger.keys(formatBasePrefix(ledger.replica));
    const bytes = await ledger.bytes(key);
    await ledger.memory.put(
      key,
      bytes.map((byte) => byte ^ 1),
    );
    const answer = await coldReader(ledger.memory).query("SELECT sum(account) FROM entries");
    expect(answer.txid).toBe("0000000000000003");
    expect(answer.rows).toEqual(
      (await coldReader(await ledger.copyOf("db/0000/")).query("SELECT sum(account) FROM entries"))
        .rows,
    );
  });

  test("and once it has been replaced, it is used again", async () => {
    await ledger.put(...singles(1, 3));
    await ledger.bundle(0);
    await ledger.memory.delete(await ledger.keys(formatBasePrefix(ledger.replica)));
    const reader = coldReader(ledger.memory);
    expect(await reader.query(ROW)).toMatchObject({ rows: ROW_ANSWER, verified: false });
    await ledger.put(...singles(4, 4));
    await ledger.bundle();
    reader.library.forget(reader.replica, { distrust: false });
    const answer = await reader.query(`${NOTE}3750`);
    expect(answer).toMatchObject({ txid: "0000000000000004", verified: true });
  });
});

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ 0x10;
  return copy;
}
