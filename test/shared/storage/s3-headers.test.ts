import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { nodeDigests } from "../../../replicator/storage/node-digests.ts";
import { bytesOf, md5, patternBytes, useFaultyR2 } from "../../support/faulty-r2.ts";

const faulty = useFaultyR2();

function base64Md5(text: string): string {
  return createHash("md5").update(text).digest("base64");
}

/** The headers of the first request that arrived. */
function headersSeen() {
  return faulty.proxy.requests[0].headers;
}

describe("the headers of a request", () => {
  it("are signed where a proxy does not rewrite them: the host and x-amz-*", async () => {
    await faulty.openStore().put("k", bytesOf("x"), { metadata: { a: "b" } });
    expect(headersSeen()["authorization"]).toContain(
      "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-meta-a,",
    );
  });

  it("give a body's length and never its pieces", async () => {
    await faulty.openStore().put("k", bytesOf("four"));
    const headers = headersSeen();
    expect(headers["content-length"]).toBe("4");
    expect(headers["transfer-encoding"]).toBeUndefined();
    expect(headers["content-encoding"]).toBeUndefined();
    expect(Object.keys(headers).filter((name) => /crc|trailer|checksum/.test(name))).toEqual([]);
  });

  it("protect a body by MD5, or by a digest in the signature, or by both", async () => {
    const sha256 = createHash("sha256").update("body").digest("hex");
    for (const [options, contentMd5, payload] of [
      [{ md5 }, base64Md5("body"), "UNSIGNED-PAYLOAD"],
      [{ md5: undefined as never }, undefined, sha256],
      [{ md5, signPayload: true }, base64Md5("body"), sha256],
    ] as const) {
      faulty.proxy.reset();
      await faulty.openStore(options).put("k", bytesOf("body"));
      expect(headersSeen()["content-md5"]).toBe(contentMd5);
      expect(headersSeen()["x-amz-content-sha256"]).toBe(payload);
    }
  });

  it("protect a large body by a digest in the signature, which takes less time than MD5", async () => {
    const body = patternBytes(1_100_000);
    const expected = createHash("sha256").update(body).digest("hex");
    for (const options of [{}, { digests: nodeDigests }]) {
      faulty.proxy.reset();
      await faulty.openStore(options).put("k", body);
      expect(headersSeen()["content-md5"]).toBeUndefined();
      expect(headersSeen()["x-amz-content-sha256"]).toBe(expected);
    }
  });

  it("leave a body unsigned where TLS protects it", async () => {
    const sent: Record<string, string>[] = [];
    const store = faulty.openStore({
      endpoint: "https://r2.invalid",
      md5: undefined as never,
      fetch: async (_url, { headers }) => {
        sent.push(headers);
        return new Response(null, { headers: { etag: '"e"' } });
      },
    });
    expect((await store.put("k", bytesOf("body"))).etag).toBe("e");
    expect(sent[0]["x-amz-content-sha256"]).toBe("UNSIGNED-PAYLOAD");
  });

  it("say nothing of the bucket's keys but by the address, encoded", async () => {
    await faulty.openStore().list({ prefix: "a b/'", startAfter: "a b/+" });
    expect(faulty.requestsSeen()).toEqual([
      "GET ?list-type=2&encoding-type=url&prefix=a%20b%2F%27&start-after=a%20b%2F%2B",
    ]);
  });

  it("ask for a body as it is stored", async () => {
    await faulty.openStore().get("k");
    expect(headersSeen()["accept-encoding"]).toBe("identity");
  });

  it("carry a storage class with what is written, and a service's own with everything", async () => {
    const store = faulty.openStore({ storageClass: "STANDARD", headers: { "x-own": "yes" } });
    await store.put("k", bytesOf("x"));
    await store.get("k");
    const [put, get] = faulty.proxy.requests.map(({ headers }) => headers);
    expect([put["x-amz-storage-class"], get["x-amz-storage-class"]]).toEqual([
      "STANDARD",
      undefined,
    ]);
    expect([put["x-own"], get["x-own"]]).toEqual(["yes", "yes"]);
  });

  it("carry a session's token, signed", async () => {
    const store = faulty.openStore({ sessionToken: "a session" });
    // The local R2 has no sessions and says so; what counts is what it was sent.
    await expect(store.get("k")).rejects.toThrow(/X-Amz-Security-Token/);
    expect(headersSeen()["x-amz-security-token"]).toBe("a session");
    expect(headersSeen()["authorization"]).toContain("x-amz-security-token");
  });
});

describe("what requests cost", () => {
  it("is one for each page, each object, each write", async () => {
    const store = faulty.openStore({ pageSize: 2 });
    for (const key of ["a", "b", "c"]) await store.put(key, bytesOf(key));
    expect(faulty.requestsSeen()).toEqual(["PUT a", "PUT b", "PUT c"]);
    faulty.proxy.reset();
    const { cursor } = await store.list({ prefix: "" });
    await store.list({ prefix: "", cursor });
    await store.get("a", { range: { offset: 0, length: 1 } });
    await store.get("none");
    expect(faulty.requestsSeen().map((request) => request.split(" ")[0])).toEqual(
      Array.from({ length: 4 }, () => "GET"),
    );
  });

  it("is one for a thousand deletes where MD5 is at hand, else one for each", async () => {
    const keys = Array.from({ length: 1_001 }, (_, index) => `k${index}`);
    await faulty.openStore().delete(keys);
    expect(faulty.requestsSeen()).toEqual(["POST ?delete=", "POST ?delete="]);
    faulty.proxy.reset();
    await faulty.openStore({ md5: undefined as never }).delete(keys.slice(0, 20));
    expect(faulty.proxy.requests).toHaveLength(20);
    expect(faulty.proxy.inFlightMax(/^DELETE/)).toBeLessThanOrEqual(6);
    faulty.proxy.reset();
    await faulty.openStore().delete([]);
    expect(faulty.requestsSeen()).toEqual([]);
  });
});
