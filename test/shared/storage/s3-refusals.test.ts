import { describe, expect, it } from "vitest";
import { freePort } from "../../support/free-port.ts";
import { bytesOf, useFaultyR2 } from "../../support/faulty-r2.ts";

const faulty = useFaultyR2();
const closedPort = await freePort();

function refusalOf(code: string): string {
  return `<Error><Code>${code}</Code><Message>no</Message></Error>`;
}

function deleteResultOf(code: string): string {
  return `<DeleteResult><Error><Key>a</Key><Code>${code}</Code><Message>no</Message></Error></DeleteResult>`;
}

describe("a request that the service refuses", () => {
  it.each([
    [400, "InvalidArgument", "R2_ERROR", '400 InvalidArgument "no"'],
    [403, "AccessDenied", "STORE_DENIED", "check its permissions for this bucket"],
    [403, "SignatureDoesNotMatch", "STORE_DENIED", "check AWS_SECRET_ACCESS_KEY"],
    [403, "InvalidAccessKeyId", "STORE_DENIED", "check AWS_ACCESS_KEY_ID"],
    [403, "RequestTimeTooSkewed", "STORE_DENIED", "clock is wrong by more than 15 minutes"],
    [400, "ExpiredToken", "STORE_DENIED", "the session token has expired"],
    [404, "NoSuchBucket", "STORE_DENIED", "the bucket does not exist there"],
    [301, "PermanentRedirect", "STORE_DENIED", "in another region or at another endpoint"],
    [400, "AuthorizationHeaderMalformed", "STORE_DENIED", "expects another region"],
    [501, "NotImplemented", "R2_ERROR", '501 NotImplemented "no"'],
  ])("with %i %s is not repeated", async (status, code, expected, message) => {
    const store = faulty.openStore();
    const refusal = expect.objectContaining({
      code: expected,
      message: expect.stringContaining(message),
    });
    for (const request of [
      () => store.get("k"),
      () => store.list({ prefix: "" }),
      () => store.put("k", bytesOf("y")),
      () => store.delete(["k", "other"]),
      () => store.delete(["k"]),
    ]) {
      faulty.proxy.reset();
      faulty.proxy.fail({ status, body: refusalOf(code) });
      await expect(request()).rejects.toThrow(refusal);
      expect(faulty.proxy.requests).toHaveLength(1);
    }
    expect(faulty.waitsMs).toEqual([]);
  });

  it.each([
    ["a page for people", "<!DOCTYPE html><html></html>"],
    ["nothing", ""],
    ["another XML", "<Hello/>"],
    ["a listing cut off", "<ListBucketResult><Contents><Key>a</Key>"],
    [
      "a listing without times",
      "<ListBucketResult><Contents><Key>a</Key><Size>1</Size><ETag>e</ETag></Contents></ListBucketResult>",
    ],
    [
      "a next page without its token",
      "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
    ],
  ])("is told when a listing is %s", async (_name, body) => {
    faulty.proxy.fail({ status: 200, body });
    await expect(faulty.openStore().list({ prefix: "" })).rejects.toThrow(
      expect.objectContaining({
        code: "R2_ERROR",
        message: expect.stringMatching(
          /answered with something that is not S3's .* check the endpoint/,
        ),
      }),
    );
  });

  it("fails a delete when one of its keys is refused", async () => {
    faulty.proxy.fail({ status: 200, body: deleteResultOf("InternalError") });
    await expect(faulty.openStore().delete(["a", "b"])).rejects.toThrow(
      expect.objectContaining({
        code: "R2_ERROR",
        message: expect.stringContaining(
          '1 of them were refused, the first "a": InternalError "no"',
        ),
      }),
    );
    faulty.proxy.fail({ status: 200, body: deleteResultOf("AccessDenied") });
    await expect(faulty.openStore().delete(["a", "b"])).rejects.toThrow(
      expect.objectContaining({ code: "STORE_DENIED" }),
    );
    faulty.proxy.fail({ status: 200, body: deleteResultOf("NoSuchKey") });
    await faulty.openStore().delete(["a", "b"]);
  });
});

describe("what the local R2 and the network refuse", () => {
  it.each([
    ["an unknown access key", { accessKeyId: "nobody" }, "STORE_DENIED", "check AWS_ACCESS_KEY_ID"],
    ["a wrong secret", { secretAccessKey: "x" }, "STORE_DENIED", "check AWS_SECRET_ACCESS_KEY"],
    ["a bucket that is not there", { bucket: "none" }, "STORE_DENIED", 'bucket "none" at'],
    [
      "a clock an hour ahead",
      { now: () => Date.now() + 3_600_000 },
      "STORE_DENIED",
      "clock is wrong",
    ],
    [
      "a port where nothing listens",
      { endpoint: `http://127.0.0.1:${closedPort}` },
      "R2_ERROR",
      "(ECONNREFUSED)",
    ],
    [
      "a host without an address",
      { endpoint: "http://nowhere.invalid" },
      "R2_ERROR",
      "http://nowhere.invalid cannot be reached",
    ],
  ])("is told for %s", async (_name, options, code, message) => {
    const store = faulty.openStore({ ...options, attemptsMax: 2 });
    const refusal = expect.objectContaining({ code, message: expect.stringContaining(message) });
    await expect(store.list({ prefix: "" })).rejects.toThrow(refusal);
    await expect(store.get("k")).rejects.toThrow(refusal);
    await expect(store.put("k", bytesOf("x"))).rejects.toThrow(refusal);
  });

  it("never shows a secret", async () => {
    const store = faulty.openStore({ accessKeyId: "AKIDX", secretAccessKey: "TOPSECRET" });
    const error: unknown = await store.get("k").catch((thrown: unknown) => thrown);
    expect(JSON.stringify(error) + String(error)).not.toMatch(/TOPSECRET/);
  });

  it.each([
    ["empty", ""],
    ["with a part that is one dot", "./0000/x"],
    ["with a part that is two dots", "a/../x"],
    ["that is no text", "\ud800"],
  ])("is told for a key %s", async (_name, key) => {
    await expect(faulty.openStore().get(key)).rejects.toThrow(
      expect.objectContaining({ code: "BAD_CONFIG" }),
    );
    expect(faulty.requestsSeen()).toEqual([]);
  });

  it("is told for metadata that a header cannot carry", async () => {
    const put = faulty.openStore().put("k", bytesOf("x"), { metadata: { name: "Zoë" } });
    await expect(put).rejects.toThrow(expect.objectContaining({ code: "BAD_REQUEST" }));
  });
});
