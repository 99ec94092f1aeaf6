import { describe, expect, it } from "vitest";
import { toChecksum } from "../../../shared/ltx/checksum.ts";
import { decodeLtx, LtxDecoder } from "../../../shared/ltx/decoder.ts";
import { lockPgno } from "../../../shared/sqlite/database-header.ts";
import {
  assembleLtx,
  concatBytes,
  goldenFile,
  goldenPages,
  hexOf,
  indexBlock,
  ltxHeader,
  patched,
  rawFrame,
  type RawLtx,
  steppedPage,
} from "../../support/ltx-fixtures.ts";

function refusal(file: Uint8Array): unknown {
  try {
    decodeLtx(file);
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("LtxDecoder refuses", () => {
  const [one, two, three] = [1, 2, 3].map((pgno) => rawFrame(pgno, steppedPage(pgno)));
  const delta = ltxHeader({ minTxid: 2, commit: 3 });
  const lock = lockPgno(65_536);
  const large = steppedPage(0, 65_536);
  const size = one.bytes.length;
  /** The index of the three frames, but for one number. */
  const index = (entry: number, field: number, value: number) => {
    const entries = [0, 1, 2].map((i) => [i + 1, 100 + i * size, size] as [number, number, number]);
    entries[entry][field] = value;
    return indexBlock(entries);
  };
  const sound: RawLtx = { header: ltxHeader({ commit: 3 }), frames: [one, two, three] };

  it("none of these files when their parts are right", () => {
    expect(refusal(assembleLtx(sound))).toBeUndefined();
    expect(refusal(assembleLtx({ header: delta, frames: [one, three] }))).toBeUndefined();
  });

  it.each<[string, RawLtx, string]>([
    ["pages that go back", { header: delta, frames: [two, one] }, "page 1 follows page 2"],
    ["a page twice", { header: delta, frames: [two, two] }, "page 2 follows page 2"],
    [
      "a page beyond the end",
      { header: { ...delta, commit: 2 }, frames: [one, three] },
      "page 3 lies beyond the end of the database, page 2",
    ],
    [
      "the lock page",
      { header: { ...delta, pageSize: 65_536, commit: lock }, frames: [rawFrame(lock, large)] },
      "page 16385 is SQLite's lock page, which is never stored",
    ],
    ["a snapshot without its first page", { ...sound, frames: [two, three] }, "page 1 is missing"],
    ["a snapshot with a hole", { ...sound, frames: [one, three] }, "page 2 is missing from a snap"],
    ["a snapshot that ends early", { ...sound, frames: [one, two] }, "page 3 is missing from a"],
    ["a snapshot without pages", { ...sound, frames: [] }, "page 1 is missing from a snapshot"],
    [
      "a terminator with flags",
      { ...sound, terminator: Uint8Array.of(0, 0, 0, 0, 0, 1) },
      "page number 0 has flags",
    ],
    [
      "an index that names another page",
      {
        ...sound,
        index: index(2, 0, 4),
      },
      "its entry for page 3 does not match the frame",
    ],
    [
      "an index that points elsewhere",
      {
        ...sound,
        index: index(1, 1, 101 + size),
      },
      "its entry for page 2 does not match the frame",
    ],
    [
      "an index that gives another size",
      {
        ...sound,
        index: index(0, 2, size - 1),
      },
      "its entry for page 1 does not match the frame",
    ],
    [
      "an index that lacks a page",
      {
        ...sound,
        index: indexBlock([
          [1, 100, size],
          [2, 100 + size, size],
        ]),
      },
      "its entry for page 3 does not match the frame",
    ],
    ["an index of another length", { ...sound, indexLength: 13 }, "its end or its length does not"],
    [
      "a post-apply checksum that the header denies",
      { ...sound, postApplyChecksum: toChecksum(1n) },
      "its trailer holds a post-apply checksum that the header denies",
    ],
  ])("%s, with checksums that fit", (_name, raw, message) => {
    const error = refusal(assembleLtx(raw));
    expect(error).toMatchObject({
      code: "CORRUPT_PAGE",
      message: expect.stringContaining(message),
    });
  });

  it("bytes after the trailer, in the same piece or in another", () => {
    const file = goldenFile("V1");
    expect(refusal(concatBytes([file, Uint8Array.of(0, 0)]))).toMatchObject({
      code: "CORRUPT_PAGE",
      message: "the LTX file is damaged: 2 bytes follow its trailer",
    });
    const decoder = new LtxDecoder();
    expect([...decoder.push(file)]).toHaveLength(2);
    expect(() => [...decoder.push(file)]).toThrow("274 bytes follow its trailer");
  });

  it.each([
    [0, "it ends after 0 bytes, before the end of its header"],
    [99, "it ends after 99 bytes, before the end of its header"],
    [100, "it ends after 100 bytes, before the end of its pages"],
    [241, "it ends after 241 bytes, before the end of its pages"],
    [242, "it ends after 242 bytes, before the end of its index"],
    [257, "it ends after 257 bytes, before the end of its index"],
    [258, "it ends after 258 bytes, before the end of its trailer"],
    [273, "it ends after 273 bytes, before the end of its trailer"],
  ])("a file cut after %d bytes, and says where", (size, message) => {
    expect(refusal(goldenFile("V1").subarray(0, size))).toMatchObject({
      code: "CORRUPT_PAGE",
      message: `the LTX file is damaged: ${message}`,
    });
  });

  it("every other cut too", () => {
    for (const name of ["V1", "V9"] as const) {
      const file = goldenFile(name);
      for (let size = 0; size < file.length; size++) {
        expect(refusal(file.subarray(0, size))).toMatchObject({ code: "CORRUPT_PAGE" });
      }
    }
  });

  it("a page of another codec than its flag says", () => {
    const file = goldenFile("V1");
    expect(refusal(patched(file, 105, 0))).toMatchObject({
      message: expect.stringContaining("page 1 cannot be read: the LZ4 frame is damaged"),
    });
  });

  it.each(["V1", "V2", "V3", "V4", "V6", "V9"] as const)(
    "%s with any one bit flipped, unless its pages stay the same",
    (name) => {
      const file = goldenFile(name);
      const expected = [...goldenPages(name).values()].map(hexOf);
      const unharmed = new Set<number>();
      for (let bit = 0; bit < file.length * 8; bit++) {
        const damaged = file.slice();
        damaged[bit >> 3] ^= 1 << (bit & 7);
        const error = refusal(damaged);
        if (error) expect(error).toMatchObject({ code: "CORRUPT_PAGE" });
        else {
          expect(decodeLtx(damaged).pages.map(({ data }) => hexOf(data))).toEqual(expected);
          unharmed.add(bit >> 3);
        }
      }
      // Per page: the last match's distance, within a run, and the length beside the last literals.
      expect(unharmed.size).toBe(2 * expected.length);
    },
  );
});
