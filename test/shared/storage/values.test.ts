import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { resolveRange } from "../../../shared/storage/byte-range.ts";
import { cutParts, joinChunks } from "../../../shared/storage/bytes.ts";
import { formatBasicTime, parseIsoTime } from "../../../shared/storage/iso-time.ts";
import { compareKeys } from "../../../shared/storage/key-order.ts";
import { formatS3Url } from "../../../shared/storage/s3-address.ts";
import { readListing } from "../../../shared/storage/s3-listing.ts";

describe("parseIsoTime and formatBasicTime", () => {
  it("agree with Date from 0000 to 9999", () => {
    const time = fc.date({
      min: new Date("0000-01-01T00:00:00Z"),
      max: new Date("9999-12-31T23:59:59.999Z"),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(time, (date) => {
        expect(parseIsoTime(date.toISOString())).toBe(date.getTime());
        if (date.getTime() < 0) return;
        const basic = date.toISOString().replace(/\.\d+|[-:]/g, "");
        expect(formatBasicTime(date.getTime())).toBe(basic);
      }),
      { numRuns: 2_000, examples: [[new Date("2024-02-29T23:59:59Z")], [new Date(0)]] },
    );
  });

  it.each([
    ["2025-01-01T00:00:00Z", 1_735_689_600_000],
    ["2025-01-01T00:00:00.1Z", 1_735_689_600_100],
    ["2025-01-01T00:00:00.123456789Z", 1_735_689_600_123],
    ["2025-01-01 00:00:00Z", undefined],
    ["2025-01-01T00:00:00+01:00", undefined],
    ["Wed, 01 Jan 2025 00:00:00 GMT", undefined],
  ])("reads %s as %s", (text, expected) => {
    expect(parseIsoTime(text)).toBe(expected);
  });
});

describe("compareKeys", () => {
  it("orders as the bytes of UTF-8 do", () => {
    const key = fc.string({ unit: "binary" });
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(Math.sign(compareKeys(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
      {
        numRuns: 2_000,
        examples: [
          ["\uFF5E", "😀"],
          ["a", "a"],
          ["a", "ab"],
        ],
      },
    );
  });
});

describe("resolveRange", () => {
  it("stays within the object, as slice does", () => {
    const range = fc.oneof(
      fc.record({ offset: fc.nat(20), length: fc.nat(20) }),
      fc.record({ suffix: fc.nat(20) }),
    );
    fc.assert(
      fc.property(range, fc.nat(15), (given, total) => {
        const bytes = Array.from({ length: total }, (_, index) => index);
        const { offset, length } = resolveRange(given, total);
        const expected =
          "suffix" in given
            ? bytes.slice(Math.max(0, total - given.suffix))
            : bytes.slice(given.offset, given.offset + given.length);
        expect(bytes.slice(offset, offset + length)).toEqual(expected);
        expect(length).toBe(expected.length);
      }),
    );
  });
});

describe("cutParts", () => {
  const chunk = fc.uint8Array({ maxLength: 20 });

  it("gives full parts but for the last, and every byte once, in order", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(chunk), fc.integer({ min: 1, max: 12 }), async (chunks, size) => {
        const whole = joinChunks(chunks);
        async function* stream() {
          yield* chunks;
        }
        for (const body of [whole, stream()]) {
          const parts = await Array.fromAsync(cutParts(body, size, undefined));
          expect(joinChunks(parts)).toEqual(whole);
          for (const part of parts.slice(0, -1)) expect(part.length).toBe(size);
          expect(parts.at(-1)?.length).not.toBe(0);
        }
      }),
    );
  });

  it("asks for no more of the stream than the part that is asked for needs", async () => {
    let given = 0;
    async function* stream() {
      for (; given < 100; given++) yield new Uint8Array(1);
    }
    await cutParts(stream(), 10, undefined).next();
    expect(given).toBe(9);
  });
});

describe("formatS3Url", () => {
  const path = { endpoint: "https://host/base", bucket: "b", forcePathStyle: true };
  const host = { endpoint: "https://host:1", bucket: "b", forcePathStyle: false };

  it("puts the bucket where it belongs", () => {
    expect(formatS3Url(path, "a/b")).toBe("https://host/base/b/a/b");
    expect(formatS3Url(path, undefined, { x: "1 2", y: "" })).toBe(
      "https://host/base/b?x=1%202&y=",
    );
    expect(formatS3Url(host, "a/b")).toBe("https://b.host:1/a/b");
    expect(formatS3Url(host, undefined, { x: "1" })).toBe("https://b.host:1/?x=1");
  });

  it("goes out as it was written, whatever the key", () => {
    const anyKey = fc.string({ unit: "binary", minLength: 1 }).filter((key) => key.isWellFormed());
    fc.assert(
      fc.property(anyKey, (key) => {
        fc.pre(!key.split("/").some((part) => part === "." || part === ".."));
        const url = formatS3Url(path, key);
        expect(new URL(url).href).toBe(url);
        expect(decodeURIComponent(new URL(url).pathname)).toBe(`/base/b/${key}`);
        expect(url.slice("https://host/base/b/".length)).toMatch(/^[\w.~/%-]*$/);
      }),
      { examples: [["'()*!+ "], ["a//b"], ["/lead"], ["tail/"]] },
    );
  });
});

/** A listing of one object, `encoding` being what it says of its keys. */
function listing(key: string, encoding: string): string {
  return `<ListBucketResult>${encoding}<Contents><Key>${key}</Key><LastModified>2025-01-01T00:00:00.000Z</LastModified><ETag>&quot;e-2&quot;</ETag><Size>5</Size></Contents></ListBucketResult>`;
}

describe("readListing", () => {
  it.each([
    ["a plus for a space", "a+b%2Bc", "a b+c"],
    ["%20 for a space", "a%20b%2Bc", "a b+c"],
    ["UTF-8", "%F0%9F%98%80%01", "😀\u0001"],
  ])("decodes keys with %s", (_name, written, key) => {
    const encoding = "<EncodingType>url</EncodingType>";
    expect(readListing(listing(written, encoding), "it")).toEqual({
      objects: [{ key, sizeBytes: 5, uploadedAtMs: 1_735_689_600_000, etag: "e-2" }],
    });
  });

  it("takes keys as they stand from a service that does not encode them", () => {
    expect(readListing(listing("a+b%20", ""), "it").objects[0].key).toBe("a+b%20");
  });

  it("refuses half an escape", () => {
    const text = listing("a%2", "<EncodingType>url</EncodingType>");
    expect(() => readListing(text, "it answered")).toThrow(
      /^it answered with something that is not S3's \(a key is not encoded as it should\)/,
    );
  });
});
