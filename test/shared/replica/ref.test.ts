import { describe, expect, test } from "vitest";
import { isReplicaError } from "../../../shared/errors.ts";
import { parseRef } from "../../../shared/replica/ref.ts";

const NOW_MS = Date.UTC(2026, 10, 24, 12, 0, 0, 500);
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

test("latest is the newest state", () => {
  expect(parseRef("latest", NOW_MS)).toEqual({ kind: "latest" });
});

describe("a TXID", () => {
  const forms: [string, bigint][] = [
    ["0000000000000357", 0x357n],
    ["ffffffffffffffff", 0xffff_ffff_ffff_ffffn],
    ["00000000000000AF", 0xafn],
    // Sixteen digits are hexadecimal also where all are decimal ones.
    ["1234567890123456", 0x1234_5678_9012_3456n],
    ["0x1", 1n],
    ["0x357", 0x357n],
    ["0XAf", 0xafn],
    ["0xffffffffffffffff", 0xffff_ffff_ffff_ffffn],
    ["txid:855", 855n],
    ["txid:18446744073709551615", 0xffff_ffff_ffff_ffffn],
    // Ten and thirteen digits behind the word are no seconds and no milliseconds.
    ["txid:1764000000", 1_764_000_000n],
  ];
  test.each(forms)("%s", (text, txid) => {
    expect(parseRef(text, NOW_MS)).toEqual({ kind: "txid", txid });
  });
});

describe("a time takes in what is stamped at the instant itself", () => {
  const instant = Date.UTC(2026, 10, 24, 10);
  const forms: [string, number][] = [
    ["2026-11-24T10:00:00Z", instant],
    ["2026-11-24t10:00:00z", instant],
    ["2026-11-24 10:00:00Z", instant],
    ["2026-11-24T12:30:00+02:30", instant],
    ["2026-11-24T02:00:00-08:00", instant],
    ["2026-11-24T10:00:00.1Z", instant + 100],
    ["2026-11-24T10:00:00.123456789Z", instant + 123],
    ["1764000000", 1_764_000_000_000],
    ["1764000000123", 1_764_000_000_123],
    ["-5s", NOW_MS - 5_000],
    ["-0s", NOW_MS],
    ["-5m", NOW_MS - 5 * MINUTE_MS],
    ["-2h", NOW_MS - 120 * MINUTE_MS],
    ["-1d", NOW_MS - DAY_MS],
    ["-3w", NOW_MS - 21 * DAY_MS],
    ["5 minutes ago", NOW_MS - 5 * MINUTE_MS],
    ["1 minute ago", NOW_MS - MINUTE_MS],
    ["30 seconds ago", NOW_MS - 30_000],
    ["2 Hours Ago", NOW_MS - 120 * MINUTE_MS],
    ["10  days  ago", NOW_MS - 10 * DAY_MS],
    ["1 week ago", NOW_MS - 7 * DAY_MS],
  ];
  test.each(forms)("%s", (text, instantMs) => {
    expect(parseRef(text, NOW_MS)).toEqual({ kind: "time", beforeMs: instantMs + 1 });
  });
});

describe("anything else is refused with the forms that there are", () => {
  const refused = [
    "",
    " latest",
    "Latest",
    "now",
    "yesterday",
    "855",
    "000000000000357",
    "00000000000000357",
    "0x",
    "0x00000000000000357",
    "0xg",
    "txid:",
    "txid:-1",
    "txid:0x1",
    "txid:1.5",
    "TXID:855",
    "2026-11-24",
    "2026-11-24T10:00:00",
    "2026-11-24T10:00Z",
    "2026-13-01T10:00:00Z",
    "2026-02-30T10:00:00Z",
    "2025-02-29T10:00:00Z",
    "2026-11-24T24:00:00Z",
    "2026-11-24T25:00:00Z",
    "2026-11-24T10:00:00 02:00",
    "176400000",
    "17640000001",
    "176400000012",
    "17640000001234",
    "1764000000.5",
    "-5",
    "5m",
    "+5m",
    "-5M",
    "-5y",
    "- 5m",
    "-1.5h",
    "--5m",
    "5 minutes",
    "5minutes ago",
    "minutes ago",
    "5 months ago",
    "-5 minutes ago",
    // Further back than any clock can say.
    "-999999999w",
    "999999999 days ago",
  ];
  test.each(refused)("%j", (text) => {
    expect(() => parseRef(text, NOW_MS)).toThrow(
      expect.toSatisfy(
        (error) =>
          isReplicaError(error, "BAD_REF") &&
          error.message.startsWith(`"${text}" names no point in time: write latest, a TXID`),
      ),
    );
  });

  test.each(["0x0", "0000000000000000", "txid:0", "txid:18446744073709551616"])(
    "%s is no TXID",
    (text) => {
      expect(() => parseRef(text, NOW_MS)).toThrow(
        expect.objectContaining({ code: "BAD_REF", message: expect.stringMatching(/not a TXID/) }),
      );
    },
  );
});
