import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteReader } from "../../../shared/replica/edge-bundle/byte-reader.ts";
import { ByteWriter } from "../../../shared/replica/edge-bundle/byte-writer.ts";
import {
  LocationDecoder,
  LocationEncoder,
  UnitPlaceDecoder,
  UnitPlaceEncoder,
  type VerifiableLocation,
} from "../../../shared/replica/edge-bundle/location-coding.ts";

function encode(locations: readonly (VerifiableLocation | null)[]): Uint8Array {
  const writer = new ByteWriter();
  const encoder = new LocationEncoder(writer);
  for (const location of locations) encoder.write(location);
  return writer.finish();
}

const anyLocation = fc.record({
  file: fc.integer({ min: 0, max: 9 }),
  offset: fc.oneof(fc.integer({ min: 0, max: 5_000 }), fc.integer({ min: 0, max: 2 ** 47 })),
  size: fc.integer({ min: 1, max: 70_000 }),
  checksum: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
});

describe("LocationDecoder", () => {
  it("reads back whatever LocationEncoder wrote", () => {
    const run = fc.array(fc.option(anyLocation, { freq: 9 }), { maxLength: 60 });
    fc.assert(
      fc.property(run, (locations) => {
        const decoder = new LocationDecoder(new ByteReader(encode(locations)), 10);
        expect(locations.map(() => decoder.read())).toEqual(locations);
      }),
    );
  });

  it("takes seven bytes for a page that follows its predecessor, in each file", () => {
    const ends = [100, 5_000_000];
    const locations = Array.from({ length: 200 }, (_, index) => {
      const file = index < 100 ? 0 : 1;
      const offset = ends[file];
      ends[file] += 1_400;
      return { file, offset, size: 1_400, checksum: index };
    });
    expect(encode(locations).length).toBe(7 * 200 + 1 + 4);
  });

  it.each([
    ["a file that the table does not have", [5, 2 * (3 + 1), 0, 0, 0, 0, 0], "file 3 of 3"],
    ["a place before the file's beginning", [5, 2 * 5 + 1, 0, 0, 0, 0], "it names byte -"],
    ["a checksum that is cut off", [5, 0, 1, 2, 3], "ends within a field"],
    ["a varint without an end", [0x80], "runs past its block"],
  ])("refuses %s", (_name, bytes, message) => {
    const decoder = new LocationDecoder(new ByteReader(Uint8Array.from(bytes)), 3);
    expect(() => decoder.read()).toThrow(
      expect.objectContaining({ code: "CORRUPT_PAGE", message: expect.stringContaining(message) }),
    );
  });
});

describe("UnitPlaceDecoder", () => {
  it("reads back whatever UnitPlaceEncoder wrote", () => {
    const place = fc.record({
      offset: fc.integer({ min: 0, max: 2 ** 40 }),
      size: fc.integer({ min: 1, max: 100_000 }),
    });
    const run = fc.array(fc.option(place, { nil: undefined }), { maxLength: 40 });
    fc.assert(
      fc.property(run, (places) => {
        const writer = new ByteWriter();
        const encoder = new UnitPlaceEncoder(writer);
        for (const each of places) encoder.write(each);
        const decoder = new UnitPlaceDecoder(new ByteReader(writer.finish()));
        expect(places.map(() => decoder.read())).toEqual(places);
      }),
    );
  });
});
