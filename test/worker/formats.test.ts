import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeBase64, encodeBase64 } from "../../worker/http/base64.ts";
import { parseRange } from "../../worker/http/byte-ranges.ts";
import { listsEtag, listsEtagStrongly } from "../../worker/http/etag.ts";
import { parseExactJson } from "../../worker/http/exact-json.ts";
import { requireJson } from "../../worker/http/negotiation.ts";
import { formatResult, objectKeys, type ResultStyle } from "../../worker/http/result-json.ts";
import { toSqlArgs } from "../../worker/http/sql-args.ts";
import type { SqlValue } from "../../worker/sqlite/values.ts";

describe("parseExactJson", () => {
  it.each<[string, unknown]>([
    ["1", 1n],
    ["-0", 0n],
    ["1.0", 1],
    ["1e3", 1000],
    ["9007199254740993", 9007199254740993n],
    ["9223372036854775807", 9223372036854775807n],
    ["-9223372036854775808", -9223372036854775808n],
    ["9223372036854775808", 9223372036854775808],
    ['"7"', "7"],
  ])("reads %s by its text", (text, value) => {
    expect(parseExactJson(`[${text}]`, "it")).toEqual([value]);
  });

  it("says what is not JSON", () => {
    expect(() => parseExactJson("{", "the body")).toThrow(
      expect.objectContaining({
        code: "BAD_REQUEST",
        message: expect.stringContaining("the body is not JSON"),
      }),
    );
  });
});

describe("toSqlArgs", () => {
  it.each<[string, unknown]>([
    ['["a", null, true, false, 1, 1.0]', ["a", null, 1n, 0n, 1n, 1]],
    ['{"id": 1, ":name": "x"}', { id: 1n, ":name": "x" }],
    ['[{"type":"integer","value":"9223372036854775807"}]', [9223372036854775807n]],
    ['[{"type":"float","value":1}]', [1]],
    ['[{"type":"text","value":"x"},{"type":"null"}]', ["x", null]],
    ['[{"type":"blob","base64":"AP8"}]', [Uint8Array.of(0, 255)]],
    ['[{"base64":"AP8="}]', [Uint8Array.of(0, 255)]],
    ["null", []],
  ])("reads %s", (text, args) => {
    expect(toSqlArgs(parseExactJson(text, "args"))).toEqual(args);
  });

  it.each([
    ['"text"', "args is an array"],
    ["[[1]]", 'args["0"] is nothing that SQLite binds'],
    ['{"x":{}}', 'args["x"] is nothing'],
    ['[{"type":"integer","value":"9223372036854775808"}]', 'args["0"] is nothing'],
    ['[{"type":"integer","value":"1.5"}]', 'args["0"] is nothing'],
    ['[{"type":"date","value":"x"}]', 'args["0"] is nothing'],
    ['[{"base64":"*"}]', 'args["0"] is nothing'],
    [`[${"1,".repeat(1000)}1]`, "args has 1001 values"],
  ])("refuses %s", (text, message) => {
    expect(() => toSqlArgs(parseExactJson(text, "args"))).toThrow(
      expect.objectContaining({
        code: "BAD_REQUEST",
        message: expect.stringContaining(message),
      }),
    );
  });
});

const STYLE: ResultStyle = { shape: "arrays", int: "safe", blob: "base64" };
const FACTS = { txid: "1", timestamp: "t", exact: true, verified: false, stats: { ms: 1 } };

function format(
  names: readonly string[],
  rows: readonly (readonly SqlValue[])[],
  style: Partial<ResultStyle> = {},
): string {
  const columns = names.map((name) => ({ name, decltype: null }));
  const result = { columns, rows, truncated: false, deterministic: true, vmSteps: 0 };
  return formatResult(result, { ...STYLE, ...style }, FACTS);
}

describe("formatResult", () => {
  it.each<[string, SqlValue, Partial<ResultStyle>, string]>([
    ["an INTEGER", 2n, {}, "2"],
    ["a REAL that looks like one", 2, {}, "2.0"],
    ["a large REAL", 1e21, {}, "1e+21"],
    ["infinity", Infinity, {}, "9e999"],
    ["minus infinity", -Infinity, {}, "-9e999"],
    ["minus zero", -0, {}, "-0.0"],
    ["2^53", 2n ** 53n, {}, "9007199254740992"],
    ["2^53 + 1", 2n ** 53n + 1n, {}, '"9007199254740993"'],
    ["2^53 + 1 as a number", 2n ** 53n + 1n, { int: "number" }, "9007199254740993"],
    ["an INTEGER as a string", 2n, { int: "string" }, '"2"'],
    ["text", 'a"\n\u{1f600}', {}, '"a\\"\\n\u{1f600}"'],
    ["NULL", null, {}, "null"],
    ["a blob", Uint8Array.of(0, 255), {}, '{"base64":"AP8="}'],
    ["a blob in hex", Uint8Array.of(0, 255), { blob: "hex" }, '{"hex":"00ff"}'],
    ["a blob left out", Uint8Array.of(0, 255), { blob: "omit" }, '{"blob_bytes":2}'],
  ])("writes %s", (_name, value, style, text) => {
    expect(format(["v"], [[value]], style)).toContain(`"rows":[[${text}]]`);
  });

  it("names the columns in which an INTEGER became a string", () => {
    const text = format(["a", "b"], [[1n, 2n ** 60n]]);
    expect(JSON.parse(text)).toMatchObject({ stats: { ms: 1, bigint_columns: ["b"] } });
  });

  it.each<[ResultStyle["shape"], unknown]>([
    ["arrays", { rows: [[1, "x"]], row_count: 1, truncated: false, columns: expect.anything() }],
    ["objects", { rows: [{ id: 1, name: "x" }], row_count: 1 }],
    ["array", [{ id: 1, name: "x" }]],
    ["first", [1]],
  ])("has the shape %s", (shape, value) => {
    expect(JSON.parse(format(["id", "name"], [[1n, "x"]], { shape }))).toMatchObject(
      value as object,
    );
  });

  it("is JSON whatever the values are", () => {
    const value = fc.oneof(
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      fc.double({ noNaN: true }),
      fc.string({ unit: "binary" }),
      fc.uint8Array(),
      fc.constant(null),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value)), (rows) => {
        const parsed = JSON.parse(format(["a", "a"], rows, { shape: "objects" })) as {
          rows: object[];
        };
        expect(parsed.rows.every((row) => Object.keys(row).join() === "a,a_2")).toBe(true);
      }),
    );
  });
});

describe("objectKeys", () => {
  it.each([
    [
      ["a", "a", "a"],
      ["a", "a_2", "a_3"],
    ],
    [
      ["a", "a_2", "a"],
      ["a", "a_2", "a_3"],
    ],
    [
      ["a", "a", "a_2"],
      ["a", "a_3", "a_2"],
    ],
  ])("makes names of %j that are all different", (names, keys) => {
    expect(objectKeys(names)).toEqual(keys);
  });
});

describe("parseRange", () => {
  it.each<[string | null, ReturnType<typeof parseRange>]>([
    [null, undefined],
    ["bytes=0-0", { offset: 0, length: 1 }],
    ["bytes=10-", { offset: 10, length: 90 }],
    ["bytes=90-200", { offset: 90, length: 10 }],
    ["bytes=-10", { offset: 90, length: 10 }],
    ["bytes=-200", { offset: 0, length: 100 }],
    ["bytes=100-", "unsatisfiable"],
    ["bytes=-0", "unsatisfiable"],
    ["bytes=5-4", undefined],
    ["bytes=0-1,5-6", undefined],
    ["pages=0-1", undefined],
    ["bytes=-", undefined],
    ["bytes=a-b", undefined],
  ])("reads %j of 100 bytes", (header, range) => {
    expect(parseRange(header, 100)).toEqual(range);
  });
});

describe("listsEtag", () => {
  it.each([
    ['"a"', true, true],
    ['"b", "a"', true, true],
    ['W/"a"', true, false],
    ["*", true, true],
    ['"b"', false, false],
    ["", false, false],
  ])("compares %j", (header, weakly, strongly) => {
    expect(listsEtag(header, '"a"')).toBe(weakly);
    expect(listsEtagStrongly(header, '"a"')).toBe(strongly);
  });
});

describe("requireJson", () => {
  it.each([
    [undefined, null],
    [undefined, "*/*"],
    [undefined, "text/html, application/json;q=0.5"],
    [undefined, "application/*"],
    ["json", "text/csv"],
  ])("passes format %j with Accept %j", (format, accept) => {
    expect(() => requireJson(format, accept)).not.toThrow();
  });

  it.each([
    ["csv", null],
    ["ndjson", "*/*"],
    [undefined, "text/csv"],
    [undefined, "application/json;q=0"],
  ])("refuses format %j with Accept %j", (format, accept) => {
    expect(() => requireJson(format, accept)).toThrow(expect.objectContaining({ code: "FORMAT" }));
  });
});

describe("base64", () => {
  it("reads back whatever was written, also without padding and in the URL's alphabet", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 20_000 }), (bytes) => {
        const text = encodeBase64(bytes);
        expect(decodeBase64(text)).toEqual(bytes);
        const urlText = text.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
        expect(decodeBase64(urlText)).toEqual(bytes);
      }),
      { numRuns: 30 },
    );
  });
});
