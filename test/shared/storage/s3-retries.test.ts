import { describe, expect, it } from "vitest";
import type { Fault } from "../../support/faulty-proxy.ts";
import { bytesOf, useFaultyR2 } from "../../support/faulty-r2.ts";

const faulty = useFaultyR2();

const SLOW_DOWN =
  "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";

describe("a request that fails and may succeed another time", () => {
  const passing: readonly (readonly [string, Fault])[] = [
    ["500", { status: 500 }],
    ["502 with a proxy's page", { status: 502, body: "<html><body>Bad gateway</body></html>" }],
    ["503 SlowDown", { status: 503, body: SLOW_DOWN }],
    ["429", { status: 429 }],
    ["408", { status: 408 }],
    ["400 RequestTimeout", { status: 400, body: "<Error><Code>RequestTimeout</Code></Error>" }],
    ["a dropped connection", { reset: true }],
  ];

  it.each(passing)("is repeated after %s", async (_name, fault) => {
    const store = faulty.openStore();
    await store.put("k", bytesOf("x"));
    for (const request of [
      () => store.get("k"),
      () => store.list({ prefix: "" }),
      () => store.put("k", bytesOf("y")),
      () => store.delete(["k", "other"]),
    ]) {
      faulty.proxy.reset();
      faulty.proxy.fail(fault);
      await request();
      expect(faulty.proxy.requests).toHaveLength(2);
    }
    expect(await faulty.stored("k")).toBeUndefined();
  });

  it("is repeated with growing waits, half of each by chance", async () => {
    const store = faulty.openStore({ attemptsMax: 9, random: () => 0.5 });
    faulty.proxy.fail(...Array.from({ length: 8 }, () => ({ status: 503 })));
    await store.list({ prefix: "" });
    expect(faulty.waitsMs).toEqual([150, 300, 600, 1_200, 2_400, 4_800, 7_500, 7_500]);
  });

  it("waits as long as the service asks, within reason", async () => {
    const store = faulty.openStore();
    faulty.proxy.fail(
      { status: 503, headers: { "retry-after": "3" } },
      { status: 503, headers: { "retry-after": "3600" } },
      { status: 503, headers: { "retry-after": "soon" } },
    );
    await store.list({ prefix: "" });
    expect(faulty.waitsMs).toEqual([3_000, 10_000, 400]);
  });

  it("is told when it does not succeed, with what the service said and how often", async () => {
    const store = faulty.openStore({ attemptsMax: 3 });
    faulty.proxy.fail(...Array.from({ length: 3 }, () => ({ status: 503, body: SLOW_DOWN })));
    await expect(store.get("k")).rejects.toThrow(
      expect.objectContaining({
        code: "R2_ERROR",
        message: `cannot read "k" in bucket "test-bucket" at ${faulty.proxy.url}: 503 SlowDown "Please reduce your request rate." (3 attempts)`,
      }),
    );
    expect(faulty.proxy.requests).toHaveLength(3);
  });

  it("is given up when nothing moves", async () => {
    const store = faulty.openStore({ idleMs: 50, attemptsMax: 2 });
    faulty.proxy.fail({ hang: true });
    expect((await store.list({ prefix: "" })).objects).toEqual([]);
    faulty.proxy.fail({ hang: true }, { hang: true });
    await expect(store.list({ prefix: "" })).rejects.toThrow(
      expect.objectContaining({
        code: "R2_ERROR",
        message: expect.stringContaining("nothing moved for 50 ms"),
      }),
    );
  });

  it("is not repeated once the caller gives up during a wait", async () => {
    const controller = new AbortController();
    const store = faulty.openStore({ sleep: async () => controller.abort() });
    faulty.proxy.fail({ status: 503 });
    const { signal } = controller;
    await expect(store.list({ prefix: "", signal })).rejects.toThrow(
      expect.objectContaining({ code: "ABORTED" }),
    );
    expect(faulty.proxy.requests).toHaveLength(1);
  });
});
