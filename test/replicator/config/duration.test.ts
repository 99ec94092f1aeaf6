import { describe, expect, it } from "vitest";
import { parseDuration } from "../../../replicator/config/duration.ts";

describe("durations", () => {
  it.each([
    ["0", 0],
    ["10ms", 10],
    ["1s", 1_000],
    ["5m", 300_000],
    ["1h", 3_600_000],
    ["1.5h", 5_400_000],
    ["1m30s", 90_000],
    ["24h0m0s", 86_400_000],
    ["7d", 604_800_000],
    ["500us", 0.5],
  ])("read %s as %d ms", (text, ms) => {
    expect(parseDuration(text, "interval")).toBe(ms);
  });

  it.each(["", "1", "s", "-1s", "1 s", "1s ", "one second", "1x", "1.s", "1s1", "1e3s"])(
    "refuse %j with what to give instead",
    (text) => {
      expect(() => parseDuration(text, "l0-retention")).toThrow(
        `l0-retention is "${text}", which is no duration: give a number with its unit`,
      );
    },
  );
});
