import { describe, expect, it } from "vitest";
import {
  CLOCK_SLACK_MS,
  describeLease,
  formatLease,
  isLive,
  isOwnLease,
  parseLease,
  parseLeaseRecord,
} from "../../../replicator/sync/lease-document.ts";
import type { Etag } from "../../../shared/storage/object-store.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const NOW = Date.UTC(2026, 10, 26, 12);
const document = { generation: 3, expiresAtMs: NOW, owner: "host:1", nonce: "n" };
const found = { etag: "e" as Etag, document };

describe("a lease", () => {
  it("is written as Litestream writes it, and read back", () => {
    const bytes = formatLease(document);
    expect(JSON.parse(new TextDecoder().decode(bytes))).toEqual({
      generation: 3,
      expires_at: "2026-11-26T12:00:00.000Z",
      owner: "host:1",
      nonce: "n",
    });
    expect(parseLease(bytes)).toEqual(document);
  });

  it("is read as Litestream writes it: nanoseconds, and no time at all when it is given back", () => {
    const written = `{"generation":1,"expires_at":"2026-11-26T12:00:00.123456789Z","owner":"a:1"}`;
    expect(parseLease(bytesOf(written))).toEqual({
      generation: 1,
      expiresAtMs: NOW + 123,
      owner: "a:1",
      nonce: undefined,
    });
    const released = `{"generation":1,"expires_at":"0001-01-01T00:00:00Z","owner":"a:1"}`;
    expect(parseLease(bytesOf(released))?.expiresAtMs).toBeLessThan(0);
  });

  it.each([
    ["nothing", ""],
    ["no JSON", "{"],
    ["another thing", "[1]"],
    ["null", "null"],
    ["no generation", `{"expires_at":"2026-11-26T12:00:00Z","owner":"a"}`],
    ["half a generation", `{"generation":0.5,"expires_at":"2026-11-26T12:00:00Z","owner":"a"}`],
    ["no time", `{"generation":1,"owner":"a"}`],
    ["a time without a zone", `{"generation":1,"expires_at":"2026-11-26T12:00:00","owner":"a"}`],
    ["no owner", `{"generation":1,"expires_at":"2026-11-26T12:00:00Z"}`],
  ])("is none with %s", (_name, text) => {
    expect(parseLease(bytesOf(text))).toBeUndefined();
  });

  it("binds others until it has run out on their clock too, which may differ", () => {
    expect(isLive(found, NOW - 1)).toBe(true);
    expect(isLive(found, NOW + CLOCK_SLACK_MS - 1)).toBe(true);
    expect(isLive(found, NOW + CLOCK_SLACK_MS)).toBe(false);
    expect(isLive({ etag: found.etag, document: undefined }, NOW)).toBe(true);
  });

  it.each([
    ["the content before our last write", { etag: "e", nonce: "other" }, true],
    ["our last write, whose ETag was not learned", { etag: null, nonce: "n" }, true],
    ["neither", { etag: "other", nonce: "other" }, false],
    ["and nothing is remembered", undefined, false],
  ])("is our own when it is %s", (_name, record, expected) => {
    expect(isOwnLease(found, record)).toBe(expected);
  });

  it("is not taken for ours because neither has a nonce", () => {
    const foreign = { etag: "x" as Etag, document: { ...document, nonce: undefined } };
    expect(isOwnLease(foreign, { etag: null, nonce: "n" })).toBe(false);
  });

  it.each([
    ["whose it is and what to do", 20_000, "host:1 until 2026-11-26T12:00:20.000Z: stop that one"],
    ["that a clock is wrong", 3_600_000, "one of the two clocks is wrong"],
  ])("says %s", (_name, leftMs, sentence) => {
    const lease = { ...found, document: { ...document, expiresAtMs: NOW + leftMs } };
    expect(describeLease("db/lock.json", lease, NOW)).toContain(sentence);
  });

  it.each([["{"], [`{"etag":1,"nonce":"n"}`], [`{"etag":null}`], ["7"]])(
    "is remembered by no damaged file: %s",
    (text) => {
      expect(parseLeaseRecord(text)).toBeUndefined();
    },
  );
});
