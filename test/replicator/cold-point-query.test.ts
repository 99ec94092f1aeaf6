/**
 * What the first row costs a reader that knows nothing: a real database of 100 MB, replicated as
 * Litestream does it, and the walk down its B-tree that SQLite makes for one primary key.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { beforeAll, describe, expect, test } from "vitest";
import { encodeLtx } from "../../shared/ltx/encoder.ts";
import { loadPlan } from "../../shared/replica/load-plan.ts";
import { formatLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import { PageCache } from "../../shared/replica/page-cache.ts";
import { PageReader } from "../../shared/replica/page-reader.ts";
import { openPlan, openSnapshot } from "../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../shared/storage/memory-store.ts";
import { countingStore, type CountingStore } from "../support/counting-store.ts";
import { concatBytes, ltxHeader } from "../support/ltx-fixtures.ts";
import { tracedDatabase } from "../support/page-trace.ts";
import { txid } from "../support/replica-fixtures.ts";
import { withLatency } from "../support/with-latency.ts";

const PAGE_SIZE = 4_096;
const ROWS = 240_000;
const SNAPSHOT_TXID = 100;
/** Behind the snapshot: three files of level 1, ten TXIDs each, and level 0 from there on. */
const LEVEL_1_FILES = 3;
const LEVEL_0_FILES = 9;
const WANTED = { id: 123_457, note: "a note that is short" };

const SCHEMA = `
  PRAGMA page_size = ${PAGE_SIZE}; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;
  CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT);
  CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER, status TEXT, note TEXT);
  WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${ROWS})
    INSERT INTO orders SELECT i, i % 977, 'shipped', hex(randomblob(100)) ||
      ' to be left with the neighbours, thank you, or else at the door; order ' || i ||
      ' is fragile, this side up, and not to be bent; it was paid by card on delivery' FROM c;
  CREATE INDEX orders_customer ON orders (customer);
`;

/** The pages of `after` that differ from those of `before`, by number. */
function changedPages(before: Uint8Array, after: Uint8Array) {
  const pages: { pgno: number; data: Uint8Array }[] = [];
  for (let offset = 0; offset < after.length; offset += PAGE_SIZE) {
    const data = after.subarray(offset, offset + PAGE_SIZE);
    if (Buffer.compare(before.subarray(offset, offset + PAGE_SIZE), data) !== 0) {
      pages.push({ pgno: offset / PAGE_SIZE + 1, data });
    }
  }
  return pages;
}

interface Source {
  readonly store: CountingStore;
  readonly replica: Replica;
  /** The database as it is after the last transaction. */
  readonly image: Uint8Array;
  readonly databaseBytes: number;
  readonly snapshotBytes: number;
  readonly rootPgno: number;
  readonly note: string;
}

async function replicate(): Promise<Source> {
  const folder = mkdtempSync(join(tmpdir(), "eddy-cold-"));
  const path = join(folder, "orders.db");
  const memory = new MemoryStore();
  const store = countingStore(withLatency(memory));
  const replica: Replica = { store, path: "prod/orders.db", layout: "s3" };
  const database = new DatabaseSync(path);
  try {
    database.exec(SCHEMA);
    let image = new Uint8Array();
    const put = async (level: number, minTxid: number, maxTxid: number) => {
      const next = readFileSync(path);
      const commit = next.length / PAGE_SIZE;
      const header = ltxHeader({ minTxid, maxTxid, commit, pageSize: PAGE_SIZE });
      const key = formatLtxKey(replica, { level, minTxid: txid(minTxid), maxTxid: txid(maxTxid) });
      await memory.put(key, concatBytes(encodeLtx(header, changedPages(image, next))));
      image = next;
    };
    await put(9, 1, SNAPSHOT_TXID);
    let head = SNAPSHOT_TXID;
    const update = database.prepare("UPDATE orders SET status = ? WHERE id % 20011 = ?");
    for (let file = 0; file < LEVEL_1_FILES; file++) {
      for (let n = 0; n < 10; n++) update.run("returned", 100 * file + n);
      await put(1, head + 1, head + 10);
      head += 10;
    }
    database.prepare("UPDATE orders SET note = ? WHERE id = ?").run(WANTED.note, WANTED.id);
    for (let file = 0; file < LEVEL_0_FILES; file++) {
      update.run("lost", 5_000 + file);
      await put(0, head + 1, head + 1);
      head++;
    }
    const root = database.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'orders'").get();
    const wanted = database.prepare("SELECT note FROM orders WHERE id = ?").get(WANTED.id);
    const [{ sizeBytes }] = (await memory.list({ prefix: "prod/orders.db/0009/" })).objects;
    return {
      store,
      replica,
      image,
      databaseBytes: image.length,
      snapshotBytes: sizeBytes,
      rootPgno: Number(root?.rootpage),
      note: String(wanted?.note),
    };
  } finally {
    database.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Reads a page as SQLite's lazy file does: at hand, or after a load. */
async function readPage(reader: PageReader, pgno: number): Promise<DataView> {
  if (!reader.resident(pgno)) await reader.load(pgno);
  const page = reader.resident(pgno)!;
  return new DataView(page.buffer, page.byteOffset, page.byteLength);
}

function readVarint(view: DataView, offset: number): { value: number; end: number } {
  let value = 0;
  let end = offset;
  for (; view.getUint8(end) & 0x80; end++) value = value * 128 + (view.getUint8(end) & 0x7f);
  return { value: value * 128 + view.getUint8(end), end: end + 1 };
}

const INTERIOR = 5;

/** The page of the leaf that holds `rowid`, and how many levels it lies below the root. */
async function findLeaf(reader: PageReader, rootPgno: number, rowid: number) {
  let pgno = rootPgno;
  let depth = 0;
  for (;;) {
    const page = await readPage(reader, pgno);
    if (page.getUint8(0) !== INTERIOR) return { page, depth };
    let child = page.getUint32(8);
    for (let cell = page.getUint16(3) - 1; cell >= 0; cell--) {
      const offset = page.getUint16(12 + 2 * cell);
      if (readVarint(page, offset + 4).value >= rowid) child = page.getUint32(offset);
    }
    pgno = child;
    depth++;
  }
}

/** Whether a leaf holds a row, and its whole content within the page. */
function rowIn(page: DataView, rowid: number): string | undefined {
  for (let cell = page.getUint16(3) - 1; cell >= 0; cell--) {
    const size = readVarint(page, page.getUint16(8 + 2 * cell));
    const id = readVarint(page, size.end);
    if (id.value !== rowid) continue;
    const bytes = new Uint8Array(page.buffer, page.byteOffset + id.end, size.value);
    return new TextDecoder().decode(bytes);
  }
  return undefined;
}

interface Cost {
  readonly rounds: number;
  readonly bytes: number;
  readonly inFlightMax: number;
}

let source: Source;
beforeAll(async () => {
  source = await replicate();
}, 120_000);

/** Opens the newest state with empty caches and reads one row by its primary key. */
async function queryCold(rowid: number): Promise<Cost & { row: string | undefined }> {
  const { store, replica, rootPgno } = source;
  const plan = await loadPlan(replica, { kind: "latest" });
  store.reset();
  const cache = new PageCache({ bytesMax: 16_000_000 });
  const snapshot = await openPlan(replica, plan, { cache });
  const reader = new PageReader(snapshot, { cache });
  await readPage(reader, 1);
  const { page, depth } = await findLeaf(reader, rootPgno, rowid);
  expect(depth).toBe(2);
  expect(store.lists).toBe(0);
  const { rounds, bytesRead: bytes, inFlightMax } = store;
  return { rounds, bytes, inFlightMax, row: rowIn(page, rowid) };
}

describe("the first row of a replica of 100 MB", () => {
  test("the replica is what it claims to be", () => {
    expect(source.databaseBytes).toBeGreaterThan(95_000_000);
    expect(source.snapshotBytes).toBeGreaterThan(60_000_000);
    expect(source.note).toBe(WANTED.note);
  });

  test("the plan takes one LIST", async () => {
    const { store, replica } = source;
    store.reset();
    const { files } = await loadPlan(replica, { kind: "latest" });
    expect(files).toHaveLength(1 + LEVEL_1_FILES + LEVEL_0_FILES);
    expect({ lists: store.lists, gets: store.gets }).toEqual({ lists: 1, gets: 0 });
  });

  test.each([
    ["that lies in the snapshot", WANTED.id + 70_001, `order ${WANTED.id + 70_001} is fragile`],
    ["that was changed since", WANTED.id, WANTED.note],
  ])(
    "a row %s takes at most six round trips with it, and less than a megabyte",
    async (_where, rowid, text) => {
      const { row, rounds, bytes, inFlightMax } = await queryCold(rowid);
      expect(row).toContain(text);
      expect(1 + rounds).toBeLessThanOrEqual(6);
      expect(bytes).toBeLessThan(1_000_000);
      expect(inFlightMax).toBeLessThanOrEqual(6);
    },
  );

  test("a second row takes one round trip for each page that is new, and one frame each", async () => {
    const { store, replica, rootPgno } = source;
    const cache = new PageCache({ bytesMax: 16_000_000 });
    const snapshot = await openSnapshot(replica, { kind: "latest" }, { cache });
    const first = new PageReader(snapshot, { cache });
    await findLeaf(first, rootPgno, 60_001);
    store.reset();
    const second = new PageReader(snapshot, { cache });
    const { page } = await findLeaf(second, rootPgno, 60_401);
    expect(rowIn(page, 60_401)).toContain("order 60401 is fragile");
    expect({ rounds: store.rounds, gets: store.gets }).toEqual({ rounds: 1, gets: 1 });
    expect(store.bytesRead).toBeLessThan(PAGE_SIZE + 32);
  });
});

/** The pages that SQLite reads for a query, one after the other, beginning with page 1 at hand and nothing else. */
async function runCold(sql: string): Promise<Cost & { requests: number }> {
  const { store, replica, image } = source;
  const cache = new PageCache({ bytesMax: 40_000_000 });
  const snapshot = await openSnapshot(replica, { kind: "latest" }, { cache });
  const reader = new PageReader(snapshot, { cache });
  store.reset();
  for (const pgno of tracedDatabase(image).trace(sql)) await readPage(reader, pgno);
  const { rounds, gets: requests, bytesRead: bytes, inFlightMax } = store;
  return { rounds, requests, bytes, inFlightMax };
}

describe("many rows of a replica of 100 MB", () => {
  test("are counted in a few rounds", async () => {
    const { rounds, bytes, inFlightMax } = await runCold("SELECT count(*) FROM orders");
    // Three of them for the root, an interior page and the first leaf; then each window is twice the last.
    expect(rounds).toBeLessThanOrEqual(9);
    expect(bytes).toBeLessThan(2_000_000);
    expect(inFlightMax).toBeLessThanOrEqual(6);
  });

  test("are scanned by reads of a mebibyte or two, six at a time", async () => {
    const sql = "SELECT sum(length(note)) FROM orders";
    const { rounds, requests, bytes, inFlightMax } = await runCold(sql);
    expect(bytes).toBeLessThan(1.05 * source.snapshotBytes);
    expect(requests).toBeLessThan(200);
    expect(rounds).toBeLessThanOrEqual(42);
    expect(inFlightMax).toBe(6);
  });
});
