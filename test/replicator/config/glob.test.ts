import { describe, expect, it } from "vitest";
import { globExpression } from "../../../replicator/config/glob.ts";

describe("globExpression", () => {
  it.each([
    ["*.db", "a.db", true],
    ["*.db", ".db", true],
    ["*.db", "adb", false],
    ["*.db", "x/a.db", false],
    ["?.db", "ü.db", true],
    ["?.db", "ab.db", false],
    ["[a-c].db", "b.db", true],
    ["[^a-c].db", "b.db", false],
    ["[\\]x].db", "].db", true],
    ["\\*.db", "*.db", true],
    ["\\*.db", "a.db", false],
    ["a+(b)|{c}$", "a+(b)|{c}$", true],
    ["*", "anything at all", true],
  ])("%s against %s: %s", (pattern, name, expected) => {
    expect(globExpression(pattern).test(name)).toBe(expected);
  });

  it.each(["[a", "[]", "a\\", "[z-a]"])("refuses %s", (pattern) => {
    expect(() => globExpression(pattern)).toThrow(expect.objectContaining({ code: "BAD_CONFIG" }));
  });
});
