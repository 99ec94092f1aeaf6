import { describe, expect, it } from "vitest";
import { checkSource, LazyFile } from "../../worker/sqlite/lazy-file.ts";
import type { PageSource } from "../../worker/sqlite/page-source.ts";

/** Pages whose bytes are all the low byte of their number, resident once they were loaded. */
function numberedPages(pageSize: number, pageCount: number): PageSource & { loaded: Set<number> } {
  const loaded = new Set<number>();
  return {
    loaded,
    pageSize,
    pageCount,
    resident: (pgno) => (loaded.has(pgno) ? new Uint8Array(pageSize).fill(pgno) : undefined),
    load: async (pgno) => void loaded.add(pgno),
  };
}

function open(source: PageSource, sourceKey = "db@1") {
  const file = new LazyFile({ ...source, sourceKey });
  file.serve({ source, fetch: (pgno) => source.load(pgno) });
  return file;
}

/** Reads as SQLite does: again after each fault. */
async function read(file: LazyFile, position: number, length: number): Promise<Uint8Array> {
  const target = new Uint8Array(length);
  for (let tries = 0; tries < 10; tries++) {
    const bytes = file.read(position, target);
    if (bytes >= 0) return target.subarray(0, bytes);
    expect(await file.fault()).toBe(true);
  }
  throw new Error("the read never came to an end");
}

describe("LazyFile", () => {
  it("patches page 1, whatever part of it is read, and no other page", async () => {
    const file = open(numberedPages(512, 0x0102));
    const whole = await read(file, 0, 512);
    const patched = new Set([18, 19, 24, 25, 26, 27, 28, 29, 30, 31, 92, 93, 94, 95]);
    whole.forEach((byte, at) => {
      if (!patched.has(at)) expect(byte).toBe(1);
    });
    expect([...whole.subarray(18, 20)]).toEqual([1, 1]);
    expect([...whole.subarray(28, 32)]).toEqual([0, 0, 1, 2]);
    expect(whole.subarray(24, 28)).toEqual(whole.subarray(92, 96));
    for (const [from, length] of [
      [0, 100],
      [24, 16],
      [19, 1],
      [90, 20],
      [26, 486],
    ] as const) {
      expect(await read(file, from, length)).toEqual(whole.slice(from, from + length));
    }
    expect((await read(file, 512, 512)).every((byte) => byte === 2)).toBe(true);
  });

  it("has the same change counter for the same key, and another for another", async () => {
    const [first, again, other] = await Promise.all(
      ["db@7", "db@7", "db@8"].map((key) => read(open(numberedPages(512, 3), key), 24, 4)),
    );
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  it("is as long as its pages, and ends there", async () => {
    const file = open(numberedPages(1024, 3));
    expect(file.sizeBytes).toBe(3072);
    expect(await read(file, 2048, 4096)).toEqual(new Uint8Array(1024).fill(3));
    expect(await read(file, 3072, 10)).toHaveLength(0);
    expect(await read(file, 9999, 10)).toHaveLength(0);
  });

  it("reads across pages", async () => {
    const source = numberedPages(512, 4);
    const bytes = await read(open(source), 1000, 600);
    expect([...bytes]).toEqual([
      ...Array<number>(24).fill(2),
      ...Array<number>(512).fill(3),
      ...Array<number>(64).fill(4),
    ]);
    expect([...source.loaded]).toEqual([2, 3, 4]);
  });

  it.each([512, 4096, 65_536])("has zeros for the lock page of %i-byte pages", async (pageSize) => {
    const lockPgno = 0x4000_0000 / pageSize + 1;
    const source = numberedPages(pageSize, lockPgno + 2);
    const page = await read(open(source), (lockPgno - 1) * pageSize, pageSize);
    expect(page.every((byte) => byte === 0)).toBe(true);
    expect(source.loaded.size).toBe(0);
    const next = await read(open(source), lockPgno * pageSize, pageSize);
    expect(next[0]).toBe((lockPgno + 1) % 256);
  });

  it("reads pages beyond 4 GiB", async () => {
    const source = numberedPages(4096, 2_000_000);
    const page = await read(open(source), 1_999_999 * 4096, 4096);
    expect(page[0]).toBe(2_000_000 % 256);
    expect([...source.loaded]).toEqual([2_000_000]);
  });

  it("keeps a fetched page for the read it was fetched for, though the cache drops it", async () => {
    const source = numberedPages(512, 4);
    const file = open(source);
    const target = new Uint8Array(512);
    expect(file.read(512, target)).toBe(-1);
    expect(await file.fault()).toBe(true);
    source.loaded.clear();
    expect(file.read(512, target)).toBe(512);
    expect(file.read(512, target)).toBe(-1);
  });

  it("reads whole pages, parts of them and more than one alike, in any order", async () => {
    const source = numberedPages(512, 5);
    const file = open(source);
    const all = new Uint8Array(5 * 512).map((_, at) => Math.floor(at / 512) + 1);
    const header = await read(file, 0, 100);
    all.set(header);
    for (let turn = 0; turn < 2; turn++) {
      for (const position of [0, 512, 100, 1024, 511, 2048, 2047, 1536, 2500]) {
        for (const length of [512, 1, 511, 513, 1024]) {
          const end = Math.min(position + length, all.length);
          expect(await read(file, position, length)).toEqual(all.slice(position, end));
        }
      }
    }
  });

  it("takes a page of another length for none, and fails when it is all that comes", async () => {
    const source = { ...numberedPages(512, 4), resident: () => new Uint8Array(511) };
    const file = open(source);
    expect(file.read(512, new Uint8Array(512))).toBe(-1);
    expect(await file.fault()).toBe(false);
  });

  it("asks its source for the page of each read once", async () => {
    const asked: number[] = [];
    const source = numberedPages(512, 4);
    const counted = {
      ...source,
      resident: (pgno: number) => {
        asked.push(pgno);
        return source.resident(pgno);
      },
    };
    const file = open(counted);
    await read(file, 512, 512);
    asked.length = 0;
    for (const position of [512, 512, 600]) await read(file, position, 512 - (position % 512));
    expect(asked).toEqual([2, 2, 2]);
  });

  it("fails a read that belongs to no query, or whose page does not come", async () => {
    const source = numberedPages(512, 4);
    const file = open(source);
    file.read(512, new Uint8Array(512));
    file.serve({ source, fetch: () => Promise.reject(new Error("no")) });
    expect(await file.fault()).toBe(false);
    file.serve({ source, fetch: () => Promise.resolve() });
    expect(await file.fault()).toBe(false);
    file.serve(undefined);
    expect(await file.fault()).toBe(false);
  });
});

describe("checkSource", () => {
  it.each([
    [1000, 5],
    [256, 5],
    [131_072, 5],
    [4096, 0],
    [4096, 1.5],
  ])("refuses pages of %i bytes, %f of them", (pageSize, pageCount) => {
    const source = { ...numberedPages(512, 1), pageSize, pageCount };
    expect(() => checkSource(source)).toThrow(expect.objectContaining({ code: "CORRUPT_PAGE" }));
  });
});
