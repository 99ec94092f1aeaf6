import { describe, expect, it } from "vitest";
import type { Etag } from "../../../shared/storage/object-store.ts";
import { bytesOf, patternBytes, useFaultyR2 } from "../../support/faulty-r2.ts";
import { unconditionalFetch } from "../../support/unconditional-fetch.ts";

const fixture = useFaultyR2();
const absent = { onlyIf: { absent: true } } as const;

describe("S3Store, with a service that knows no conditional writes", () => {
  it("looks first, and writes only what is not there", async () => {
    const store = fixture.openStore({ fetch: unconditionalFetch });
    await store.put("k", bytesOf("first"), absent);
    await expect(store.put("k", bytesOf("second"), absent)).rejects.toMatchObject({
      code: "STORE_CONFLICT",
    });
    expect(await fixture.stored("k")).toBe("first");
    expect(fixture.requestsSeen()).toEqual(["HEAD k", "PUT k", "HEAD k"]);
  });

  it("replaces only the content that was meant", async () => {
    const store = fixture.openStore({ fetch: unconditionalFetch });
    const { etag } = await store.put("k", bytesOf("first"));
    await store.put("k", bytesOf("second"), { onlyIf: { etag } });
    await expect(store.put("k", bytesOf("third"), { onlyIf: { etag } })).rejects.toMatchObject({
      code: "STORE_CONFLICT",
    });
    expect(await fixture.stored("k")).toBe("second");
  });

  it("writes what goes up in parts", async () => {
    const small = { partBytes: 5 * 1024 * 1024, singlePutBytesMax: 5 * 1024 * 1024 };
    const store = fixture.openStore({ fetch: unconditionalFetch, ...small });
    const { etag } = await store.put("k", patternBytes(6 * 1024 * 1024), absent);
    expect((await store.get("k"))?.etag).toBe(etag);
  });

  it("refuses where the condition must be checked in the same step, and writes nothing", async () => {
    const store = fixture.openStore({ fetch: unconditionalFetch });
    for (const onlyIf of [{ absent: true } as const, { etag: "e" as Etag }]) {
      await expect(
        store.put("k", bytesOf("text"), { onlyIf, mustBeAtomic: true }),
      ).rejects.toMatchObject({
        code: "BAD_CONFIG",
        message: expect.stringContaining("no conditional writes (501 NotImplemented)") as string,
      });
    }
    expect(fixture.requestsSeen()).toEqual([]);
  });
});

describe("S3Store, before an upload in parts becomes visible", () => {
  it("calls whoever wants to look once more, who can give it up", async () => {
    const small = { partBytes: 5 * 1024 * 1024, singlePutBytesMax: 5 * 1024 * 1024 };
    const store = fixture.openStore(small);
    const body = patternBytes(6 * 1024 * 1024);
    const beforeComplete = async () => {
      expect(await fixture.stored("k")).toBeUndefined();
      throw new Error("the lease is lost");
    };
    await expect(store.put("k", body, { ...absent, beforeComplete })).rejects.toThrow(
      "the lease is lost",
    );
    expect(await fixture.stored("k")).toBeUndefined();
    expect(fixture.requestsSeen().at(-1)).toMatch(/^DELETE k\?uploadId=/);
    let calls = 0;
    await store.put("k", body, { ...absent, beforeComplete: async () => void calls++ });
    expect(calls).toBe(1);
  });
});
