import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PageMemory } from "../../../replicator/sync/page-memory.ts";
import { PageSums } from "../../../replicator/sync/page-sums.ts";
import { pageChecksum } from "../../../shared/ltx/checksum.ts";
import { CaptureFixture } from "../../support/capture-fixture.ts";
import { createLiveDatabase, type LiveDatabase } from "../../support/live-database.ts";
import { patched } from "../../support/ltx-fixtures.ts";
import { txid } from "../../support/replica-fixtures.ts";

const PAGE_BYTES = 512;

/** TXIDs 1 to 4 are staged: an image, and three records behind its sums. */
let live: LiveDatabase;
let fixture: CaptureFixture;
let image: Uint8Array;
beforeEach(async () => {
  live = createLiveDatabase();
  fixture = await startWithFour(live);
  // Not a buffer: a slice of one is no copy.
  image = new Uint8Array(await fixture.merged());
});
afterEach(() => {
  fixture[Symbol.dispose]();
  live[Symbol.dispose]();
});

async function startWithFour(database: LiveDatabase): Promise<CaptureFixture> {
  const started = await CaptureFixture.start(database.path);
  for (let round = 0; round < 4; round++) {
    database.exec("INSERT INTO t (body) VALUES (randomblob(700))");
    await started.captureAll();
  }
  return started;
}

function sumsPath({ staging }: CaptureFixture): string {
  return join(staging.folder, "eddy-pages");
}

/**
 * Loads what is remembered, and says what it is good for: `exact` when it tells every page of TXID 4 from
 * any other, `nothing` when there is none. Anything else would be a loss one day.
 */
async function load(): Promise<"exact" | "nothing"> {
  const remembered = (await PageMemory.load(fixture.staging, PAGE_BYTES)).at(txid(4));
  if (!remembered) return "nothing";
  expect(remembered.point.commit).toBe(image.length / PAGE_BYTES);
  for (let pgno = 1; pgno <= remembered.point.commit; pgno++) {
    const data = image.subarray((pgno - 1) * PAGE_BYTES, pgno * PAGE_BYTES);
    expect(remembered.isSame({ pgno, data })).toBe(true);
    expect(remembered.isSame({ pgno, data: patched(data, 100, data[100] ^ 1) })).toBe(false);
  }
  expect(remembered.isSame({ pgno: remembered.point.commit + 1, data: image })).toBe(false);
  return "exact";
}

describe("PageMemory", () => {
  it("remembers every page of the newest staged file", async () => {
    expect(await load()).toBe("exact");
  });

  it("is never wrong when a byte of its file is", async () => {
    const bytes = new Uint8Array(readFileSync(sumsPath(fixture)));
    const found = { exact: 0, nothing: 0 };
    for (let offset = 0; offset < bytes.length; offset++) {
      writeFileSync(sumsPath(fixture), patched(bytes, offset, bytes[offset] ^ 0x10));
      found[await load()]++;
    }
    // Where a record is damaged, the staged files say the same.
    const nothing = frontBytes(bytes);
    expect(found).toEqual({ exact: bytes.length - nothing, nothing });
  });

  it("is never wrong when its file is cut off", async () => {
    const bytes = readFileSync(sumsPath(fixture));
    for (let length = 0; length < bytes.length; length++) {
      writeFileSync(sumsPath(fixture), bytes.subarray(0, length));
      const isFrontWhole = length >= frontBytes(bytes);
      expect(await load()).toBe(isFrontWhole ? "exact" : "nothing");
    }
  });

  it.each([
    ["the staged file that its sums are of is another", () => overwriteStaged(1, 2)],
    ["that file is gone", () => rmSync(fixture.staging.pathOf(txid(1)))],
    ["a staged file behind it is missing", () => rmSync(fixture.staging.pathOf(txid(3)))],
    ["a staged file behind it is damaged", () => damageStaged(3)],
    ["a staged file behind it is another", () => overwriteStaged(3, 2)],
  ])("remembers nothing, its records lost, when %s", async (_name, arrange) => {
    const bytes = readFileSync(sumsPath(fixture));
    writeFileSync(sumsPath(fixture), bytes.subarray(0, frontBytes(bytes)));
    expect(await load()).toBe("exact");
    arrange();
    expect(await load()).toBe("nothing");
  });

  it("takes no sums of another history, though the TXIDs are the same", async () => {
    using other = createLiveDatabase();
    using theirs = await startWithFour(other);
    writeFileSync(sumsPath(fixture), readFileSync(sumsPath(theirs)));
    expect(await load()).toBe("nothing");
  });

  it("takes no sums of pages of another size", async () => {
    const memory = await PageMemory.load(fixture.staging, 1024);
    expect(memory.at(txid(4))).toBeUndefined();
  });

  it("drops what describes another TXID than the one that is known to be in the history", async () => {
    for (const id of [undefined, txid(3), txid(5)]) {
      const memory = await PageMemory.load(fixture.staging, PAGE_BYTES);
      expect(memory.at(txid(4))).toBeDefined();
      expect(memory.at(txid(3))).toBeUndefined();
      expect(memory.at(undefined)).toBeUndefined();
      memory.keepOnly(id);
      expect([3, 4, 5].map((at) => memory.at(txid(at)))).toEqual([undefined, undefined, undefined]);
    }
  });
});

describe("PageSums", () => {
  it("tells apart two pages that have the same CRC-64", () => {
    const sums = new PageSums(PAGE_BYTES);
    const page = new Uint8Array(PAGE_BYTES);
    // What the polynomial looks like in bytes: added to any page, it leaves the CRC as it was.
    const other = new Uint8Array(PAGE_BYTES);
    other[0] = 0x80;
    other[8] = 0xd8;
    expect(pageChecksum(2, other)).toBe(pageChecksum(2, page));
    expect(sums.sumOf(other)).not.toBe(sums.sumOf(page));
  });

  it("has another key each time, so that nobody can make up pages that collide", () => {
    const page = new Uint8Array(PAGE_BYTES);
    expect(new PageSums(PAGE_BYTES).sumOf(page)).not.toBe(new PageSums(PAGE_BYTES).sumOf(page));
  });
});

/** Size of the sums at the front of the file: up to there nothing can be missing. */
function frontBytes(bytes: Uint8Array): number {
  return 56 + 8 * Buffer.from(bytes).readUInt32BE(36) + 8;
}

function overwriteStaged(id: number, from: number): void {
  const { staging } = fixture;
  writeFileSync(staging.pathOf(txid(id)), readFileSync(staging.pathOf(txid(from))));
}

function damageStaged(id: number): void {
  const path = fixture.staging.pathOf(txid(id));
  const bytes = readFileSync(path);
  writeFileSync(path, patched(bytes, 150, bytes[150] ^ 1));
}
