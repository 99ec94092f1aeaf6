/** The first row of an isolate that knows nothing, of a replica with an edge bundle. */
import { beforeEach, describe, expect, test } from "vitest";
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

describe("a replica with a bundle", () => {
  test("answers the first row in two round trips, and every page of it is verified", async () => {
    await ledger.put(...singles(1, 3));
    await ledger.bundle();
    const answer = await coldReader(ledger.memory).query(ROW);
    expect(answer).toMatchObject({ txid: "0000000000000003", rows: ROW_ANSWER, verified: true });
    // The list and the bundle's head, then the leaf.
    expect(answer).toMatchObject({ lists: 1, gets: 2, rounds: 2 });
    expect(answer.keysRead[1]).toContain("0000000000000001-0000000000000001.ltx");
  });

  test("costs the same when it is a snapshot behind which nothing is new", async () => {
    await ledger.put(...singles(2, 5), [9, 1, 5]);
    await ledger.bundle();
    const answer = await coldReader(ledger.memory).query(ROW);
    expect(answer).toMatchObject({ txid: "0000000000000005", rows: ROW_ANSWER, verified: true });
    expect(answer).toMatchObject({ lists: 1, gets: 2, rounds: 2 });
  });

  test("reads eleven files that are newer in four round trips, and answers at the newest", async () => {
    await ledger.put([9, 1, 5], ...singles(5, 5));
    await ledger.bundle();
    await ledger.put(...singles(6, 16));
    const reader = coldReader(ledger.memory);
    const answer = await reader.query(`${NOTE}4000`);
    expect(answer).toMatchObject({
      txid: "0000000000000010",
      rows: [["touched 16"]],
      verified: true,
    });
    expect(answer.rounds).toBeLessThanOrEqual(4);
    expect(answer.inFlightMax).toBeLessThanOrEqual(6);
    // The list, the head, eleven files, and the leaf of the bundle's TXID, read in vain.
    expect(answer).toMatchObject({ lists: 1, gets: 13 });
    // What was opened stays: a new file takes what it takes without a bundle, and no more.
    await ledger.put(...singles(17, 17));
    const late = await reader.query("SELECT name FROM extras");
    expect(late).toMatchObject({ rows: [["late"]], verified: true, lists: 0, gets: 3, rounds: 2 });
  });

  test("may begin with a statement that its own TXID could not run", async () => {
    await ledger.put(...singles(1, 16));
    await ledger.bundle();
    await ledger.put(...singles(17, 17));
    const reader = coldReader(ledger.memory);
    expect(await reader.query("SELECT name FROM extras")).toMatchObject({ rows: [["late"]] });
    await expect(coldReader(ledger.memory).query("SELECT x FROM nowhere")).rejects.toMatchObject({
      code: "SQLITE_ERROR",
      details: { txid: "0000000000000011" },
    });
  });

  test("compares an ETag with the newest version, and not with the bundle's", async () => {
    await ledger.put(...singles(1, 3));
    await ledger.bundle();
    const first = await coldReader(ledger.memory).respond(ROW);
    const headers = { "if-none-match": first.headers.get("etag") ?? "" };
    expect((await coldReader(ledger.memory).respond(ROW, { headers })).status).toBe(304);
    await ledger.put(...singles(4, 4));
    expect((await coldReader(ledger.memory).respond(ROW, { headers })).status).toBe(200);
  });

  test("finds what is newer where level 0 has more files than one page of a listing", async () => {
    ledger = ledgerReplica(4);
    await ledger.put(...singles(1, 12));
    await ledger.bundle();
    await ledger.put(...singles(13, 14));
    const answer = await coldReader(ledger.memory).query(`${NOTE}3500`);
    expect(answer).toMatchObject({ rows: [["touched 14"]], verified: true, lists: 2 });
    expect(answer.rounds).toBeLessThanOrEqual(4);
  });

  test("takes compacted files where level 0 does not lead on", async () => {
    await ledger.put([9, 1, 2], ...singles(2, 2));
    await ledger.bundle();
    await ledger.memory.delete(await ledger.keys("db/0000/"));
    await ledger.put([1, 3, 9], ...singles(10, 12));
    const answer = await coldReader(ledger.memory).query(`${NOTE}1000`);
    expect(answer).toMatchObject({ txid: "000000000000000c", verified: true });
    expect(answer.rows).toEqual([["touched 4"]]);
    expect(answer).toMatchObject({ lists: 1, gets: 1 + 1 + 4 });
  });

  test("serves a pinned TXID and a moment from the bundle on", async () => {
    await ledger.put([9, 1, 5], ...singles(5, 5));
    await ledger.bundle();
    await ledger.put(...singles(6, 8));
    const at = { at: "txid:7" };
    const pinned = await coldReader(ledger.memory).query(`${NOTE}1750`, at);
    expect(pinned).toMatchObject({ txid: "0000000000000007", rows: [["touched 7"]] });
    // The list, beside it the bundle; two files; nothing of the snapshot but a leaf, if that.
    expect(pinned).toMatchObject({ verified: true, lists: 1 });
    expect(pinned.gets).toBeLessThanOrEqual(4);
    const moment = { at: "2026-10-01T12:06:30Z" };
    const then = await coldReader(ledger.memory).query(`${NOTE}1750`, moment);
    expect(then).toMatchObject({ txid: "0000000000000007", rows: [["touched 7"]] });
    const before = await coldReader(ledger.memory).query(`${NOTE}1250`, { at: "txid:5" });
    expect(before).toMatchObject({ txid: "0000000000000005", rows: [["touched 5"]] });
  });
});

describe("a copy of a replica", () => {
  test("in another store keeps its bundle, whatever the store calls the objects", async () => {
    await ledger.put(...singles(1, 3));
    await ledger.bundle();
    const answer = await coldReader(await ledger.copyOf("db/")).query(ROW);
    expect(answer).toMatchObject({ txid: "0000000000000003", rows: ROW_ANSWER, verified: true });
    // The list and the head; the last bytes of three objects, beside a leaf read in vain; the leaf.
    expect(answer).toMatchObject({ lists: 1, gets: 1 + 3 + 1 + 1, rounds: 3 });
    expect(answer.bytesRead).toBeLessThan(20_000);
    expect(answer.rounds).toBeLessThanOrEqual(4);
    expect(answer.bytesRead).toBeLessThan(40_000);
  });

  test("names the object and the page where one is damaged", async () => {
    await ledger.put(...singles(1, 3));
    await ledger.bundle();
    const [key = ""] = await ledger.keys("db/0000/");
    const bytes = await ledger.bytes(key);
    // Every frame but the trailer, which says that it is the same file.
    const damaged = bytes.map((byte, at) =>
      at > 110 && at < bytes.length - 60_000 ? byte ^ 4 : byte,
    );
    await ledger.memory.put(key, damaged);
    await expect(
      coldReader(ledger.memory).query("SELECT sum(length(note)) FROM entries"),
    ).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: expect.stringContaining(key),
    });
  });
});
