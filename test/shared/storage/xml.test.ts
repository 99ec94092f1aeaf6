import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { escapeXml, parseXml, textOf } from "../../../shared/storage/xml.ts";

describe("parseXml", () => {
  it("reads a listing as S3 services write it", () => {
    const root = parseXml(
      '\uFEFF<?xml version="1.0" encoding="UTF-8"?>\n<List xmlns="http://s3.amazonaws.com/doc/2006-03-01/">\n  <Name>b</Name>\n  <!-- two -->\n  <Item a="1" b=\'>\'><Key>x</Key></Item><Item><Key>y</Key><Empty/><Gap></Gap></Item>\n</List>\n',
    );
    expect(root.name).toBe("List");
    expect(textOf(root, "Name")).toBe("b");
    expect(textOf(root, "None")).toBeUndefined();
    const [, first, second] = root.children;
    expect(textOf(first, "Key")).toBe("x");
    expect(second.children.map(({ name, text }) => [name, text])).toEqual([
      ["Key", "y"],
      ["Empty", ""],
      ["Gap", ""],
    ]);
  });

  it.each([
    ["the five names", "&lt;a&gt; &amp;amp; &quot;&apos;", "<a> &amp; \"'"],
    ["numbers", "&#65;&#x42;&#x1F600;&#10;", "AB😀\n"],
    ["CDATA as it stands", "a<![CDATA[<&amp;]]>b", "a<&amp;b"],
    ["spaces as they stand", "  a  b ", "  a  b "],
  ])("resolves %s", (_name, text, expected) => {
    expect(parseXml(`<a>${text}</a>`).text).toBe(expected);
  });

  it.each([
    ["nothing", "", "not one element"],
    ["a page for people", "<!DOCTYPE html><html></html>", "not XML at character 0"],
    [
      "a document type with entities",
      '<!DOCTYPE a [<!ENTITY b "c">]><a/>',
      "not XML at character 0",
    ],
    ["plain text", "Bad gateway", "not one element"],
    ["an element that is not closed", "<a><b></b>", "<a> is not closed"],
    ["elements crossed", "<a><b></a></b>", "stray </a>"],
    ["a stray end", "</a>", "stray </a>"],
    ["two elements", "<a/><b/>", "not one element"],
    ["text around", "<a/>x", "text outside"],
    ["a bare ampersand", "<a>b & c</a>", "unknown entity &"],
    ["an entity of nobody's", "<a>&nbsp;</a>", "unknown entity &nbsp;"],
    ["an entity cut off", "<a>&amp</a>", "unknown entity &amp"],
    ["a number that is no character", "<a>&#x110000;</a>", "unknown entity &#x110000;"],
    ["a tag cut off", "<a", "not XML at character 0"],
    ["an attribute without quotes", "<a b=c></a>", "not XML at character 0"],
    ["a comment cut off", "<a><!-- x</a>", "not XML at character 3"],
    ["depths without end", "<a>".repeat(20), "nested more than 16 deep"],
  ])("refuses %s", (_name, text, message) => {
    expect(() => parseXml(text)).toThrow(
      expect.objectContaining({ name: "XmlError", message: expect.stringContaining(message) }),
    );
  });

  it("reads back whatever escapeXml wrote", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(parseXml(`<a>${escapeXml(text)}</a>`).text).toBe(text);
      }),
    );
  });

  it("ends on any text, with an element or a refusal", () => {
    const piece = fc.constantFrom(
      "<a>",
      "</a>",
      "<a/>",
      "&amp;",
      "<",
      ">",
      "&",
      "<!--",
      "-->",
      "x",
      "<![CDATA[",
      "]]>",
      "<?x?>",
      '<a b="',
      '">',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        try {
          expect(parseXml(pieces.join("")).name).toBe("a");
        } catch (error) {
          expect(error).toMatchObject({ name: "XmlError" });
        }
      }),
    );
  });

  it("reads a page of a thousand objects in no time", () => {
    const item = "<Contents><Key>k</Key><Size>1</Size></Contents>".repeat(1_000);
    expect(parseXml(`<List>${item}</List>`).children).toHaveLength(1_000);
  });
});
