import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, it } from "vitest";
import {
  hasWalFrames,
  readWalBatch,
  WalFile,
  walStart,
  type WalBatch,
} from "../../../replicator/wal/wal-reader.ts";
import {
  frameOffsets,
  makeWalImage,
  withChecksums,
  type WalImage,
} from "../../support/wal-images.ts";

const folder = mkdtempSync(join(tmpdir(), "eddy-wal-reader-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const SCHEMA = "CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)";
const small = makeWalImage({
  transactions: [
    SCHEMA,
    "INSERT INTO t (body) VALUES (randomblob(1200))",
    "INSERT INTO t (body) VALUES (randomblob(3000)); UPDATE t SET body = zeroblob(900) WHERE id = 1",
    "DELETE FROM t WHERE id = 2",
  ],
});
/** Twelve transactions, about 3.5 MB, so that frames lie across the reader's chunks. */
const large = (pageSize: number) =>
  makeWalImage({
    pageSize,
    transactions: [
      SCHEMA,
      ...Array.from({ length: 11 }, () => "INSERT INTO t (body) VALUES (randomblob(310000))"),
    ],
  });

/** Hands `use` a log with these bytes. */
function withLog<Result>(bytes: Uint8Array, use: (file: WalFile) => Result): Result {
  const path = join(folder, "log");
  writeFileSync(path, bytes);
  using file = WalFile.open(path);
  return use(file!);
}

function readAll(file: WalFile, bytesMax?: number): WalBatch | undefined {
  return readWalBatch(file, walStart(file.header()!), bytesMax);
}

/** Where the transactions that are whole in the first `length` bytes end; undefined where none is. */
function lastEnd({ ends }: WalImage, length: number): number | undefined {
  return ends.findLast((end) => end <= length);
}

describe("readWalBatch", () => {
  it.each([
    ["512-byte pages", small],
    ["1,024-byte pages, beyond one chunk", large(1024)],
    ["4,096-byte pages, beyond one chunk", large(4096)],
    ["65,536-byte pages, beyond one chunk", large(65_536)],
  ])("reads what SQLite committed, page for page, in both byte orders: %s", (_name, image) => {
    const { bytes, pageSize, database, ends } = image;
    for (const isBigEndian of [false, true]) {
      const log = withChecksums(bytes, pageSize, isBigEndian);
      // What SQLite wrote carries the very checksums that the test adds up.
      if (!isBigEndian) expect(log.equals(bytes)).toBe(true);
      withLog(log, (file) => {
        const batch = readAll(file)!;
        expect(batch.end.offset).toBe(ends.at(-1));
        expect(batch.commit).toBe(database.length / pageSize);
        expect(batch.pages.size).toBeGreaterThan(3);
        for (const [pgno, offset] of batch.pages) {
          if (pgno > batch.commit) continue;
          const place = (pgno - 1) * pageSize;
          const expected = database.subarray(place, place + pageSize);
          expect(expected.equals(file.read(offset, pageSize)), `page ${pgno}`).toBe(true);
        }
      });
    }
  });

  it("ends with the last whole transaction wherever the log is cut off", () => {
    const offsets = frameOffsets(small);
    const cuts = offsets.flatMap((offset) => [offset, offset + 1, offset + 24, offset + 535]);
    for (const cut of [...cuts, small.bytes.length]) {
      const end = lastEnd(small, cut);
      const batch = withLog(small.bytes.subarray(0, cut), (file) => readAll(file));
      expect(batch?.end.offset, `cut at byte ${cut}`).toBe(end);
      // Not one page of the transaction that was cut off counts.
      const whole = withLog(small.bytes.subarray(0, end ?? 32), (file) => readAll(file));
      expect(batch).toEqual(whole);
    }
  });

  it("ends before a transaction with any byte changed, and counts nothing behind it", () => {
    const frames = frameOffsets(small).length;
    // The first frame of all, one in the middle of a transaction, and the last commit frame.
    for (const index of [0, Math.floor(frames / 2), frames - 1]) {
      const offset = frameOffsets(small)[index];
      for (let byte = offset; byte < offset + 24 + small.pageSize; byte++) {
        const copy = Buffer.from(small.bytes);
        copy[byte] ^= 0x01;
        const end = withLog(copy, (file) => readAll(file)?.end.offset);
        expect(end, `byte ${byte - offset} of frame ${index}`).toBe(lastEnd(small, offset));
      }
    }
  });

  it.each([
    ["page number 0", 0, 0],
    ["the first salt of another log", 8, 77],
    ["the second salt of another log", 12, 77],
  ])("ends before a frame with %s, though its checksum fits", (_name, field, value) => {
    const offset = small.ends[1];
    const copy = Buffer.from(small.bytes);
    copy.writeUInt32BE(value, offset + field);
    const log = withChecksums(copy, small.pageSize, false);
    expect(withLog(log, (file) => readAll(file)?.end.offset)).toBe(offset);
  });

  it("ends with the first commit beyond the bytes that it was given, and goes on from there", () => {
    const image = large(4096);
    const [start, ...ends] = [32, ...image.ends];
    withLog(image.bytes, (file) => {
      for (const [index, end] of ends.entries()) {
        const before = index === 0 ? start : ends[index - 1];
        expect(readAll(file, before - start + 1)?.end.offset).toBe(end);
        expect(readAll(file, end - start)?.end.offset).toBe(end);
      }
      const pages = new Map<number, number>();
      let position = walStart(file.header()!);
      for (let batch = readWalBatch(file, position, 1); batch;) {
        for (const [pgno, offset] of batch.pages) pages.set(pgno, offset);
        position = batch.end;
        batch = readWalBatch(file, position, 1);
      }
      expect(pages).toEqual(readAll(file)?.pages);
      expect(position).toEqual(readAll(file)?.end);
    });
  });

  it("finds nothing behind a place whose chain is another", () => {
    withLog(small.bytes, (file) => {
      const { end } = readAll(file, 1)!;
      expect(readWalBatch(file, end)).toBeDefined();
      const [s0, s1] = end.checksum;
      expect(readWalBatch(file, { ...end, checksum: [s0, s1 ^ 1] })).toBeUndefined();
    });
  });

  it("finds no log where there is no file, and no commit in a log without frames", () => {
    expect(WalFile.open(join(folder, "none"))).toBeUndefined();
    expect(withLog(small.bytes.subarray(0, 32), (file) => readAll(file))).toBeUndefined();
    expect(withLog(Buffer.alloc(0), (file) => file.header())).toBeUndefined();
  });
});

/** A database whose log is spilled to early and never checkpointed by itself. */
function open(name: string): { database: DatabaseSync; log: () => Buffer; path: string } {
  const path = join(folder, name);
  const database = new DatabaseSync(path);
  database.exec(
    `PRAGMA page_size = 512; PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
     PRAGMA cache_size = 5; ${SCHEMA}`,
  );
  return { database, path: `${path}-wal`, log: () => readFileSync(`${path}-wal`) };
}

describe("readWalBatch beside a SQLite that writes", () => {
  it("leaves out what is not committed, and what was rolled back, and reads it once it is committed", () => {
    const { database, path, log } = open("tail.db");
    using file = WalFile.open(path)!;
    const committed = log().length;
    database.exec("BEGIN; INSERT INTO t (body) VALUES (randomblob(30000))");
    expect(log().length).toBeGreaterThan(committed + 20 * 536);
    expect(readAll(file)?.end.offset).toBe(committed);
    database.exec("ROLLBACK; INSERT INTO t (body) VALUES ('short')");
    const afterRollback = readAll(file)!;
    expect(afterRollback.end.offset).toBeLessThan(log().length);
    expect(afterRollback.end.offset).toBeGreaterThan(committed);
    database.exec("BEGIN; INSERT INTO t (body) VALUES (randomblob(30000)); COMMIT");
    expect(readWalBatch(file, afterRollback.end)?.commit).toBe(
      Number(database.prepare("PRAGMA page_count").get()?.["page_count"]),
    );
    database.close();
  });

  it("leaves out the old log's frames behind those of a log begun anew", () => {
    const { database, path, log } = open("anew.db");
    using file = WalFile.open(path)!;
    database.exec("INSERT INTO t (body) VALUES (randomblob(9000))");
    const old = readAll(file)!;
    database.exec("PRAGMA wal_checkpoint(RESTART); UPDATE t SET body = 'x'");
    expect(log().length).toBe(old.end.offset);
    const anew = readAll(file)!;
    expect(anew.end.offset).toBeLessThan(old.end.offset);
    expect(anew.start.header.checkpointSequence).toBe(old.start.header.checkpointSequence + 1);
    expect(readWalBatch(file, old.end)).toBeUndefined();
    database.close();
  });
});

describe("hasWalFrames", () => {
  it("says whether so many frames lie behind a place, up to the last", () => {
    withLog(small.bytes, (file) => {
      const start = walStart(file.header()!);
      const count = frameOffsets(small).length;
      expect(hasWalFrames(file, start, count)).toBe(true);
      expect(hasWalFrames(file, start, count + 1)).toBe(false);
      const { end } = readAll(file, 1)!;
      const read = (end.offset - 32) / 536;
      expect(hasWalFrames(file, end, count - read)).toBe(true);
      expect(hasWalFrames(file, end, count - read + 1)).toBe(false);
    });
  });

  it("counts no frames of an older log", () => {
    const copy = Buffer.from(small.bytes);
    const offset = frameOffsets(small).at(-1)!;
    copy.writeUInt32BE(77, offset + 12);
    withLog(copy, (file) => {
      const count = frameOffsets(small).length;
      expect(hasWalFrames(file, walStart(file.header()!), count)).toBe(false);
      expect(hasWalFrames(file, walStart(file.header()!), count - 1)).toBe(true);
    });
  });
});
