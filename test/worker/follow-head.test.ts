/** What it costs to keep up with a replica: requests, bytes and round trips, counted at the store. */
import { beforeEach, describe, expect, test } from "vitest";
import { fileIdentity, type LtxFile } from "../../shared/replica/ltx-file.ts";
import { PageCache } from "../../shared/replica/page-cache.ts";
import { openPlan } from "../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../shared/storage/memory-store.ts";
import { loadPlan } from "../../shared/replica/load-plan.ts";
import { followHead, type Head } from "../../worker/replicas/follow-head.ts";
import { countingStore, type CountingStore } from "../support/counting-store.ts";
import { samplePage } from "../support/ltx-fixtures.ts";
import { nameOf, putLtx, replicaIn, txid } from "../support/replica-fixtures.ts";

const PAGE_SIZE = 4_096;
const START_MS = 1_000_000;

let memory: MemoryStore;
let store: CountingStore;
let cache: PageCache;
let files: Map<string, LtxFile>;

beforeEach(() => {
  memory = new MemoryStore();
  store = countingStore(memory);
  cache = new PageCache({ bytesMax: 40_000_000 });
  files = new Map();
});

/** One transaction's file, of `noise` pages that do not compress. */
async function put(minTxid: number, noise = 1, { level = 0, maxTxid = minTxid } = {}) {
  const pages = Object.fromEntries(
    Array.from({ length: noise }, (_, index) => [
      index + 1,
      samplePage("noise", 1_000 * maxTxid + index, PAGE_SIZE),
    ]),
  );
  return putLtx(memory, { level, minTxid, maxTxid, pageSize: PAGE_SIZE, commit: noise, pages });
}

async function putEach(first: number, last: number) {
  for (let each = first; each <= last; each++) await put(each);
}

const replica = () => replicaIn(store);

async function firstLook(): Promise<Head> {
  const plan = await loadPlan(replica(), { kind: "latest" });
  await openPlan(replica(), plan, { cache, files });
  store.reset();
  const plannedFiles = plan.files.length;
  return { plan, checkedAtMs: START_MS, listedAtMs: START_MS, plannedFiles };
}

/** What a look finds; undefined when all has to be looked at. */
function look(head: Head, afterMs = 1_000): Promise<Head | undefined> {
  return followHead(replica(), head, { nowMs: head.checkedAtMs + afterMs, cache, files });
}

async function follow(head: Head, afterMs?: number): Promise<Head> {
  const followed = await look(head, afterMs);
  if (!followed) throw new Error("there is another history");
  return followed;
}

function cost() {
  const { lists, gets, rounds } = store;
  return { lists, gets, rounds };
}

async function sizeOf(key: string): Promise<number> {
  return (await memory.get(key))?.bytes.length ?? 0;
}

describe("a look at the head", () => {
  test("takes one read that finds nothing while nothing is new", async () => {
    await putEach(1, 3);
    const head = await firstLook();
    const later = await follow(head);
    expect(later.plan).toBe(head.plan);
    expect(later.checkedAtMs).toBe(START_MS + 1_000);
    expect(cost()).toEqual({ lists: 0, gets: 1, rounds: 1 });
    expect(store.bytesRead).toBe(0);
  });

  test("finds one new file with its content: nothing of it is asked for again", async () => {
    await putEach(1, 3);
    const head = await firstLook();
    const key = await put(4, 20);
    const later = await follow(head);
    expect(later.plan.files.map(nameOf)).toEqual(["L0[1]", "L0[2]", "L0[3]", "L0[4]"]);
    // The file; then side by side the next key, and one byte of the file that was last.
    expect(cost()).toEqual({ lists: 0, gets: 3, rounds: 2 });
    expect(store.bytesRead).toBe((await sizeOf(key)) + 1);
    store.reset();
    const snapshot = await openPlan(replica(), later.plan, { cache, files });
    expect(snapshot).toMatchObject({ txid: 4n, commit: 20, timestampMs: 4_000 });
    expect(cost()).toEqual({ lists: 0, gets: 0, rounds: 0 });
  });

  test("asks of a file that is larger than its first read only for the rest", async () => {
    await putEach(1, 1);
    const head = await firstLook();
    const key = await put(2, 200);
    const sizeBytes = await sizeOf(key);
    expect(sizeBytes).toBeGreaterThan(800_000);
    const later = await follow(head);
    await openPlan(replica(), later.plan, { cache, files });
    expect(later.plan.txid).toBe(2n);
    expect(cost()).toEqual({ lists: 0, gets: 4, rounds: 2 });
    expect(store.bytesRead).toBe(sizeBytes + 1);
    expect(files.get(fileIdentity(later.plan.files.at(-1)!))?.checksums).toHaveLength(200);
  });

  test("never reads a file of more than 4 MiB whole: its pages are not verified", async () => {
    await putEach(1, 1);
    const head = await firstLook();
    const sizeBytes = await sizeOf(await put(2, 1_100));
    expect(sizeBytes).toBeGreaterThan(4_194_304);
    const later = await follow(head);
    const snapshot = await openPlan(replica(), later.plan, { cache, files });
    expect(store.bytesRead).toBeLessThan(sizeBytes / 10);
    const { location } = await snapshot.pages.find(1_000, { replica: replica() });
    expect(location?.file).toBe(1);
    expect(location?.checksum).toBeUndefined();
  });

  test.each([
    [2, { lists: 0, gets: 4 }],
    // From the third on one list is better than another look each, and the reads go six at a time.
    [3, { lists: 1, gets: 4 }],
    [40, { lists: 1, gets: 4 + 37 }],
  ])("finds %i new files, and lists rather than going on one by one", async (count, expected) => {
    await putEach(1, 2);
    const head = await firstLook();
    await putEach(3, 2 + count);
    const later = await follow(head);
    expect(later.plan.txid).toBe(txid(2 + count));
    expect({ lists: store.lists, gets: store.gets }).toEqual(expected);
    store.reset();
    await openPlan(replica(), later.plan, { cache, files });
    expect(cost()).toEqual({ lists: 0, gets: 0, rounds: 0 });
  });

  test("lists at once when nobody has looked for ten seconds", async () => {
    await putEach(1, 2);
    const head = await firstLook();
    await putEach(3, 13);
    const later = await follow(head, 10_000);
    expect(later.plan.files.at(-1)).toMatchObject({ minTxid: 13n, createdAtMs: 0 });
    expect(later.listedAtMs).toBe(START_MS + 10_000);
    // The list begins with the file that was last, and so shows that it is the same. Of eleven files
    // the first came with the look, and ten go six at a time.
    expect({ lists: store.lists, gets: store.gets }).toEqual({ lists: 1, gets: 1 + 10 });
    expect(store.inFlightMax).toBe(6);
  });

  test("lists every thirty seconds while the next key is missing", async () => {
    await putEach(1, 2);
    const head = await firstLook();
    const before = await follow(head, 29_999);
    expect(cost()).toEqual({ lists: 0, gets: 1, rounds: 1 });
    store.reset();
    const later = await follow(before, 1);
    expect(later.listedAtMs).toBe(START_MS + 30_000);
    expect(cost()).toEqual({ lists: 1, gets: 1, rounds: 2 });
  });

  test("sees with one more read whether a last file above level 0 is still the same", async () => {
    await put(1, 1, { level: 1, maxTxid: 2 });
    const head = await firstLook();
    await put(3);
    expect((await follow(head, 10_000)).plan.files.map(nameOf)).toEqual(["L1[1-2]", "L0[3]"]);
    expect(cost()).toEqual({ lists: 1, gets: 2, rounds: 2 });
  });

  test("does not hold any more when the next key was compacted away", async () => {
    await putEach(1, 2);
    const head = await firstLook();
    await put(3, 1, { level: 1, maxTxid: 9 });
    await put(10);
    expect(await look(head, 30_000)).toBeUndefined();
  });

  test("is given up when it is hundreds of files behind", async () => {
    await putEach(1, 1);
    const head = await firstLook();
    await putEach(2, 300);
    expect(await look(head, 60_000)).toBeUndefined();
    expect(cost()).toEqual({ lists: 1, gets: 1, rounds: 2 });
  });

  test.each([1_000, 10_000])(
    "does not hold any more when the path was wiped and began anew, %i ms later",
    async (afterMs) => {
      await putEach(1, 2);
      const head = await firstLook();
      await putEach(1, 3);
      expect(await look(head, afterMs)).toBeUndefined();
    },
  );

  test("names a new file that is damaged", async () => {
    await putEach(1, 2);
    const head = await firstLook();
    const key = await put(3);
    const bytes = (await memory.get(key))!.bytes;
    bytes[2_000] ^= 1;
    await memory.put(key, bytes);
    await expect(follow(head)).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: expect.stringContaining(key),
    });
    await memory.put(key, new Uint8Array(300));
    await expect(follow(head)).rejects.toMatchObject({
      code: "CORRUPT_PAGE",
      message: expect.stringContaining(key),
    });
  });
});
