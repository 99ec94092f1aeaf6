import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readUvarint, VARINT_BYTES_MAX, writeUvarint } from "../../../shared/ltx/varint.ts";

function encode(value: number): Uint8Array {
  const target = new Uint8Array(VARINT_BYTES_MAX);
  return target.subarray(0, writeUvarint(target, 0, value));
}

describe("readUvarint", () => {
  it.each([
    [0, [0]],
    [127, [0x7f]],
    [128, [0x80, 1]],
    [300, [0xac, 2]],
    [2 ** 32, [0x80, 0x80, 0x80, 0x80, 0x10]],
    [Number.MAX_SAFE_INTEGER, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]],
  ])("reads %d, as writeUvarint wrote it", (value, bytes) => {
    expect([...encode(value)]).toEqual(bytes);
    expect(readUvarint({ bytes: Uint8Array.from(bytes), offset: 0 })).toBe(value);
  });

  it("reads back any list of integers and ends behind the last", () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeNat()), (values) => {
        const bytes = new Uint8Array(values.length * VARINT_BYTES_MAX);
        const end = values.reduce((offset, value) => writeUvarint(bytes, offset, value), 0);
        const cursor = { bytes: bytes.subarray(0, end), offset: 0 };
        expect(values.map(() => readUvarint(cursor))).toEqual(values);
        expect(cursor.offset).toBe(end);
      }),
    );
  });

  it.each([
    ["no bytes", [], "the varint at byte 0 runs past its block"],
    ["a last byte that promises more", [0x80], "the varint at byte 0 runs past its block"],
    ["2^53", [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10], "is larger than 2^53 - 1"],
    ["nine bytes", Array(8).fill(0x80).concat(1), "is larger than 2^53 - 1"],
    ["a zero in two bytes", [0x80, 0], "the varint at byte 0 is padded with zeros"],
  ])("refuses %s", (_name, bytes: readonly number[], message) => {
    expect(() => readUvarint({ bytes: Uint8Array.from(bytes), offset: 0 })).toThrow(
      expect.objectContaining({ code: "CORRUPT_PAGE", message: expect.stringContaining(message) }),
    );
  });
});
