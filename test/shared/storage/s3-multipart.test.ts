import { describe, expect, it } from "vitest";
import type { ProxiedRequest } from "../../support/faulty-proxy.ts";
import { bytesOf, md5, patternBytes, useFaultyR2 } from "../../support/faulty-r2.ts";

const faulty = useFaultyR2();

const MIB = 1024 * 1024;
const options = { partBytes: 5 * MIB, singlePutBytesMax: 5 * MIB } as const;
const whole = patternBytes(12 * MIB);

async function* chunks(): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < whole.length; offset += MIB) {
    yield whole.subarray(offset, offset + MIB);
  }
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield* chunks();
  throw new Error("the source broke");
}

async function* small(): AsyncGenerator<Uint8Array> {
  yield bytesOf("one ");
  yield bytesOf("request");
}

/** The local R2 has no list of uploads, but it refuses a part of one that is gone. */
async function expectUploadGone(): Promise<void> {
  const id = /uploadId=([^&]+)/.exec(faulty.proxy.requests.at(-1)?.target ?? "")?.[1] ?? "";
  const upload = faulty.r2.binding.resumeMultipartUpload("k", decodeURIComponent(id));
  await expect(upload.uploadPart(1, "x")).rejects.toThrow(/does not exist/);
}

/** The request that makes the object of its parts. */
function isLast({ method, target }: ProxiedRequest): boolean {
  return method === "POST" && target.includes("uploadId");
}

describe("an upload in parts", () => {
  it("sends equal parts, two at a time at most, and one request at either end", async () => {
    const info = await faulty.openStore(options).put("k", chunks(), { metadata: { a: "b" } });
    expect(info.sizeBytes).toBe(whole.length);
    const parts = faulty.proxy.requests.filter(({ method }) => method === "PUT");
    expect(parts.map(({ bodyBytes }) => bodyBytes)).toEqual([5 * MIB, 5 * MIB, 2 * MIB]);
    expect(faulty.proxy.requests).toHaveLength(5);
    expect(faulty.proxy.inFlightMax(/^PUT/)).toBe(2);
    const object = await faulty.r2.binding.get("k");
    expect(object?.customMetadata).toEqual({ a: "b" });
    expect(md5(new Uint8Array(await object!.arrayBuffer()))).toEqual(md5(whole));
  });

  it("sends what turns out small by one request", async () => {
    await faulty.openStore(options).put("k", small());
    expect(faulty.requestsSeen()).toEqual(["PUT k"]);
    expect(await faulty.stored("k")).toBe("one request");
  });

  it("sends bytes in hand in parts above the limit for one request", async () => {
    await faulty.openStore(options).put("k", whole);
    const parts = faulty.proxy.requests.filter(({ method }) => method === "PUT");
    expect(parts.map(({ bodyBytes }) => bodyBytes)).toEqual([5 * MIB, 5 * MIB, 2 * MIB]);
  });

  it("makes parts larger where 10,000 would not hold what is announced", async () => {
    const store = faulty.openStore(options);
    await store.put("k", chunks(), { sizeBytesMax: 60_000 * MIB });
    const parts = faulty.proxy.requests.filter(({ method }) => method === "PUT");
    expect(parts.map(({ bodyBytes }) => bodyBytes)).toEqual([6 * MIB, 6 * MIB]);
  });

  it("needs neither a chunk nor a part any more when the next is there", async () => {
    const one = new Uint8Array(MIB);
    async function* reused() {
      for (let i = 0; i < 5; i++) {
        for (let offset = 0; offset < whole.length; offset += MIB) {
          one.set(whole.subarray(offset, offset + MIB));
          yield one;
        }
      }
    }
    await faulty.openStore(options).put("k", reused());
    const stored = new Uint8Array(await (await faulty.r2.binding.get("k"))!.arrayBuffer());
    expect(stored.length).toBe(5 * whole.length);
    for (let i = 0; i < 5; i++) {
      const copy = stored.subarray(i * whole.length, (i + 1) * whole.length);
      expect(md5(copy)).toEqual(md5(whole));
    }
  });

  it("reads nothing ahead where what is announced does not fit one request", async () => {
    let taken = 0;
    async function* counted() {
      for await (const chunk of chunks()) {
        taken += chunk.length;
        yield chunk;
      }
    }
    const takenAt: number[] = [];
    const store = faulty.openStore({
      ...options,
      singlePutBytesMax: 11 * MIB,
      fetch: (url, init) => {
        takenAt.push(taken);
        return fetch(url, init);
      },
    });
    const announced = { onlyIf: { absent: true }, sizeBytesMax: whole.length } as const;
    await store.put("k", counted(), announced);
    expect((await faulty.r2.binding.head("k"))?.size).toBe(whole.length);
    // Two parts: that there is a second shows that one request will not do.
    expect(takenAt[0]).toBe(10 * MIB);
  });

  it("repeats a part that fails", async () => {
    faulty.proxy.fail(
      { reset: true, when: ({ target }) => target.includes("partNumber=2") },
      { status: 503, when: ({ target }) => target.includes("partNumber=1") },
    );
    await faulty.openStore(options).put("k", chunks());
    expect(faulty.proxy.requests).toHaveLength(7);
    expect((await faulty.r2.binding.head("k"))?.size).toBe(whole.length);
  });

  it("is given up when a part is refused", async () => {
    faulty.proxy.fail({
      status: 403,
      body: "<Error><Code>AccessDenied</Code></Error>",
      when: ({ target }) => target.includes("partNumber=2"),
    });
    await expect(faulty.openStore(options).put("k", chunks())).rejects.toThrow(
      expect.objectContaining({ code: "STORE_DENIED" }),
    );
    expect(faulty.requestsSeen().at(-1)).toMatch(/^DELETE k\?uploadId=/);
    await expectUploadGone();
    expect(await faulty.r2.binding.head("k")).toBeNull();
  });

  it("is given up when the body fails or the caller gives up", async () => {
    await expect(faulty.openStore(options).put("k", failing())).rejects.toThrow("the source broke");
    await expectUploadGone();
    const controller = new AbortController();
    async function* aborting() {
      yield* chunks();
      controller.abort();
      yield new Uint8Array(1);
    }
    const { signal } = controller;
    await expect(faulty.openStore(options).put("k", aborting(), { signal })).rejects.toThrow(
      expect.objectContaining({ code: "ABORTED" }),
    );
    await expectUploadGone();
    expect(await faulty.r2.binding.head("k")).toBeNull();
  });

  it("knows its own object again when the last answer is lost", async () => {
    faulty.proxy.fail({ reset: true, afterwards: true, when: isLast });
    const info = await faulty.openStore(options).put("k", chunks());
    expect(info).toMatchObject({
      sizeBytes: whole.length,
      etag: (await faulty.r2.binding.head("k"))?.etag,
    });
  });

  it("repeats the last request when its 200 is a failure after all", async () => {
    const body = "<Error><Code>InternalError</Code><Message>try again</Message></Error>";
    faulty.proxy.fail({
      status: 200,
      body,
      when: isLast,
    });
    await faulty.openStore(options).put("k", chunks());
    expect((await faulty.r2.binding.head("k"))?.size).toBe(whole.length);
  });

  it("looks at the key before and after the last request where there is a condition", async () => {
    await faulty.openStore(options).put("k", chunks(), { onlyIf: { absent: true } });
    expect(faulty.requestsSeen().slice(-3)).toEqual([
      "HEAD k",
      expect.stringMatching(/^POST k\?uploadId=/),
      "HEAD k",
    ]);
    expect(faulty.proxy.requests.at(-2)?.headers["if-none-match"]).toBe("*");
  });

  it("keeps a rival's object that came while the parts went up", async () => {
    let racing = true;
    async function* slow() {
      yield* chunks();
      if (racing) await faulty.r2.binding.put("k", "theirs");
      racing = false;
    }
    await expect(
      faulty.openStore(options).put("k", slow(), { onlyIf: { absent: true } }),
    ).rejects.toThrow(expect.objectContaining({ code: "STORE_CONFLICT" }));
    expect(await faulty.stored("k")).toBe("theirs");
    await expectUploadGone();
  });
});
