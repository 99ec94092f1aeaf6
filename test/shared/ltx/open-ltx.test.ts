import { describe, expect, it } from "vitest";
import { openLtx } from "../../../shared/ltx/open-ltx.ts";
import { goldenFile, patched, steppedPage } from "../../support/ltx-fixtures.ts";

/** The bytes of `file` in pieces, with a count of how many were asked for. */
function counted(file: Uint8Array, size: number) {
  const pieces = { asked: 0, [Symbol.iterator]: cut };
  function* cut() {
    for (let start = 0; start < file.length; start += size) {
      pieces.asked++;
      yield file.subarray(start, start + size);
    }
  }
  return pieces;
}

describe("openLtx", () => {
  it("reads the header and one page, and the rest as it is taken", () => {
    const pieces = counted(goldenFile("V3"), 10);
    const { header, pages } = openLtx(pieces);
    expect(header).toMatchObject({ commit: 3, maxTxid: 2n });
    expect(pieces.asked).toBe(17);
    expect(pages.next().value).toEqual({ pgno: 1, data: steppedPage(0x11) });
    expect(pages.next().value).toEqual({ pgno: 2, data: steppedPage(0x71) });
    expect(pieces.asked).toBe(24);
    expect([...pages]).toHaveLength(1);
  });

  it("opens a file without pages, and answers its summary when they were taken", () => {
    const { header, pages } = openLtx([goldenFile("V6")]);
    expect(header.minTxid).toBe(3n);
    expect(pages.next()).toMatchObject({ done: true, value: { pageCount: 0, sizeBytes: 131 } });
  });

  it("refuses a damaged header at once, and damage behind the pages when they were taken", () => {
    expect(() => openLtx([patched(goldenFile("V3"), 0, 0)])).toThrow('begin with "LTX1"');
    expect(() => openLtx([])).toThrow("it ends after 0 bytes");
    const { pages } = openLtx([patched(goldenFile("V3"), 345, 0)]);
    expect(() => [...pages]).toThrow(
      expect.objectContaining({
        code: "CORRUPT_PAGE",
        message: expect.stringContaining("the file's checksum is "),
      }),
    );
  });
});
