import { describe, expect, it } from "vitest";
import { humanBytes } from "../../../replicator/status/human-bytes.ts";
import { describePacing, pacingCost } from "../../../replicator/status/pacing-cost.ts";

describe("humanBytes", () => {
  it.each([
    [0, "0 B"],
    [9, "9 B"],
    [999, "999 B"],
    [1_000, "1.0 kB"],
    [1_250, "1.3 kB"],
    [9_949, "9.9 kB"],
    [16_512, "16 kB"],
    [17_500, "18 kB"],
    [20_632, "21 kB"],
    [4_152_992, "4.2 MB"],
    [1_049_000_000, "1.0 GB"],
  ])("writes %d as Litestream's status does", (bytes, text) => {
    expect(humanBytes(bytes)).toBe(text);
  });
});

describe("pacingCost", () => {
  it.each([
    [1_000, 2_592_000, 11.66, 7.16],
    [10_000, 259_200, 1.17, 0],
    [10, 259_200_000, 1_166.4, 1_161.9],
  ])("reckons what one upload in %d ms costs", (syncIntervalMs, uploads, dollars, afterFree) => {
    expect(pacingCost(syncIntervalMs)).toEqual({
      syncIntervalMs,
      uploadsPerMonth: uploads,
      dollarsPerMonth: dollars,
      dollarsAfterFree: afterFree,
    });
  });

  it("is shown with its arithmetic", () => {
    expect(describePacing(pacingCost(1_000))).toContain(
      "2,592,000 a month x $4.50 a million on R2 = $11.66",
    );
  });
});
