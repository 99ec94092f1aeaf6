import { describe, expect, it } from "vitest";
import { decodeHeader } from "../../../shared/ltx/header.ts";
import { checkTrailer, decodeTrailer, encodeTrailer } from "../../../shared/ltx/trailer.ts";
import {
  GOLDEN,
  goldenFile,
  type GoldenName,
  ltxHeader,
  patched,
} from "../../support/ltx-fixtures.ts";

const CHECKED = goldenFile("V4").slice(-16);

describe("decodeTrailer", () => {
  it.each(Object.keys(GOLDEN) as GoldenName[])("reads that of %s, as it is written", (name) => {
    const bytes = goldenFile(name).slice(-16);
    const trailer = decodeTrailer(bytes);
    expect(trailer.fileChecksum.toString(16)).toBe(GOLDEN[name].fileChecksum);
    expect(encodeTrailer(trailer)).toEqual(bytes);
    checkTrailer(trailer, decodeHeader(goldenFile(name)));
  });

  it.each([
    ["15 bytes", CHECKED.subarray(1), "its trailer has 15 bytes, not 16"],
    ["17 bytes", goldenFile("V4").slice(-17), "its trailer has 17 bytes, not 16"],
    [
      "a file checksum without its mark",
      patched(CHECKED, 8, 0x2b),
      "without the bit that marks one",
    ],
  ])("refuses %s", (_name, bytes, message) => {
    expect(() => decodeTrailer(bytes)).toThrow(
      expect.objectContaining({ code: "CORRUPT_PAGE", message: expect.stringContaining(message) }),
    );
  });
});

describe("checkTrailer", () => {
  const plain = ltxHeader({});
  const checked = ltxHeader({ flags: 0 });
  it.each([
    ["a checksum that the header denies", plain, CHECKED, "that the header denies"],
    [
      "no checksum where one is promised",
      checked,
      patched(CHECKED, 0, 0, 0, 0, 0, 0, 0, 0, 0),
      "lacks",
    ],
    ["a checksum without its mark", checked, patched(CHECKED, 0, 0x10), "that the header promises"],
  ])("refuses %s", (_name, header, bytes, message) => {
    expect(() => checkTrailer(decodeTrailer(bytes), header)).toThrow(
      expect.objectContaining({ code: "CORRUPT_PAGE", message: expect.stringContaining(message) }),
    );
  });
});
