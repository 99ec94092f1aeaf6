import { beforeEach, describe, expect, it } from "vitest";
import { bytesOf, md5, patternBytes, useFaultyR2 } from "../../support/faulty-r2.ts";

const faulty = useFaultyR2();

describe("a body that breaks off", () => {
  const whole = patternBytes(3_000_000);
  beforeEach(async () => {
    await faulty.r2.binding.put("k", whole, { customMetadata: { a: "b" } });
  });

  it("is taken up where it ended", async () => {
    faulty.proxy.fail(
      { breakAfterBytes: 1_000_000 },
      { status: 503 },
      { breakAfterBytes: 500_000 },
    );
    const read = await faulty.openStore().get("k");
    expect(read).toMatchObject({ totalBytes: 3_000_000, metadata: { a: "b" } });
    expect(read?.bytes.length).toBe(3_000_000);
    expect(md5(read!.bytes)).toEqual(md5(whole));
    const { etag } = read!;
    const ranges = faulty.proxy.requests.map(({ headers }) => [
      headers["range"],
      headers["if-match"],
    ]);
    expect(ranges).toEqual([
      [undefined, undefined],
      [expect.stringMatching(/^bytes=[1-9]\d*-2999999$/), `"${etag}"`],
      [expect.stringMatching(/^bytes=[1-9]\d*-2999999$/), `"${etag}"`],
      [expect.stringMatching(/^bytes=[1-9]\d*-2999999$/), `"${etag}"`],
    ]);
  });

  it.each([
    ["a piece", { offset: 500_000, length: 2_000_000 }, 500_000, 2_500_000],
    ["the end", { suffix: 2_000_000 }, 1_000_000, 3_000_000],
    ["more than is left", { offset: 1_000_000, length: 9_000_000 }, 1_000_000, 3_000_000],
  ])("is taken up within %s", async (_name, range, start, end) => {
    faulty.proxy.fail({ breakAfterBytes: 1_234_567 });
    const read = await faulty.openStore().get("k", { range });
    expect(md5(read!.bytes)).toEqual(md5(whole.subarray(start, end)));
    expect(faulty.proxy.requests[1].headers["range"]).toMatch(new RegExp(`-${end - 1}$`));
  });

  it("is read from its beginning when the object was replaced meanwhile", async () => {
    const other = patternBytes(2_000_000).toReversed();
    faulty.proxy.fail({ breakAfterBytes: 1_000_000 });
    const store = faulty.openStore({
      sleep: async () => void (await faulty.r2.binding.put("k", other)),
    });
    const read = await store.get("k");
    expect(md5(read!.bytes)).toEqual(md5(other));
    expect(faulty.requestsSeen()).toEqual(["GET k", "GET k", "GET k"]);
  });

  it("is a conflict when the object was replaced and its content was named", async () => {
    const { etag } = (await faulty.openStore().get("k", { range: { suffix: 1 } }))!;
    faulty.proxy.fail({ breakAfterBytes: 1_000_000 });
    const store = faulty.openStore({
      sleep: async () => void (await faulty.r2.binding.put("k", "other")),
    });
    await expect(store.get("k", { ifMatch: etag })).rejects.toThrow(
      expect.objectContaining({ code: "STORE_CONFLICT" }),
    );
  });

  it("is told after the last attempt", async () => {
    faulty.proxy.fail({ breakAfterBytes: 1_000 }, { breakAfterBytes: 1_000 });
    await expect(faulty.openStore({ attemptsMax: 2 }).get("k")).rejects.toThrow(
      expect.objectContaining({ code: "R2_ERROR", message: expect.stringMatching(/2 attempts/) }),
    );
  });
});

describe("a PUT whose answer is lost", () => {
  it.each([
    ["with the connection", { reset: true, afterwards: true }],
    ["behind a 500", { status: 500, afterwards: true }],
  ] as const)("%s knows its own object again", async (_name, fault) => {
    faulty.proxy.fail(fault);
    const info = await faulty.openStore().put("k", bytesOf("mine"), { onlyIf: { absent: true } });
    expect(info.etag).toBe((await faulty.r2.binding.head("k"))?.etag);
    expect(faulty.requestsSeen()).toEqual(["PUT k", "PUT k", "HEAD k"]);
  });

  it("knows it by its bytes where there is no MD5", async () => {
    faulty.proxy.fail({ reset: true, afterwards: true });
    const store = faulty.openStore({ md5: undefined as never });
    await store.put("k", bytesOf("mine"), { onlyIf: { absent: true } });
    expect(faulty.requestsSeen()).toEqual(["PUT k", "PUT k", "HEAD k", "GET k"]);
  });

  it.each([
    ["of another size", "yours and longer"],
    ["of the same size", "your"],
  ])("sees a rival's object %s for what it is", async (_name, theirs) => {
    faulty.proxy.fail({ reset: true });
    const store = faulty.openStore({
      sleep: async () => void (await faulty.r2.binding.put("k", theirs)),
    });
    await expect(store.put("k", bytesOf("mine"), { onlyIf: { absent: true } })).rejects.toThrow(
      expect.objectContaining({ code: "STORE_CONFLICT" }),
    );
    expect(await faulty.stored("k")).toBe(theirs);
  });

  it("knows its own replacement of a named content again", async () => {
    const { etag } = await faulty.openStore().put("k", bytesOf("old"));
    faulty.proxy.fail({ reset: true, afterwards: true });
    await faulty.openStore().put("k", bytesOf("new"), { onlyIf: { etag } });
    expect(await faulty.stored("k")).toBe("new");
  });

  it("asks nothing more when the first answer is a conflict", async () => {
    await faulty.openStore().put("k", bytesOf("mine"));
    faulty.proxy.reset();
    await expect(
      faulty.openStore().put("k", bytesOf("mine"), { onlyIf: { absent: true } }),
    ).rejects.toThrow(expect.objectContaining({ code: "STORE_CONFLICT" }));
    expect(faulty.requestsSeen()).toEqual(["PUT k"]);
  });
});
