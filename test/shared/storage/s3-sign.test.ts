import { AwsV4Signer } from "aws4fetch";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nodeDigests } from "../../../replicator/storage/node-digests.ts";
import { webDigests } from "../../../shared/storage/digests.ts";
import { formatS3Url } from "../../../shared/storage/s3-address.ts";
import { S3Signer, type SignableRequest } from "../../../shared/storage/s3-sign.ts";

const NOW_MS = Date.UTC(2026, 10, 26, 14, 3, 9);
const CREDENTIALS = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfi" };

const AT_NOW = { region: "auto", now: () => NOW_MS };

/** What another implementation, which passes Amazon's own suite, says of the same request. */
async function authorizationByPeer(
  { method, url, headers, payloadHash }: SignableRequest,
  sessionToken: string | undefined,
): Promise<string | null> {
  const signable = Object.entries(headers).filter(([name]) => name.startsWith("x-amz-"));
  const signer = new AwsV4Signer({
    ...CREDENTIALS,
    ...(sessionToken !== undefined && { sessionToken }),
    method,
    url,
    headers: { ...Object.fromEntries(signable), "x-amz-content-sha256": payloadHash },
    service: "s3",
    region: "auto",
    datetime: "20261126T140309Z",
  });
  return (await signer.sign()).headers.get("authorization");
}

function signer(options: Partial<ConstructorParameters<typeof S3Signer>[0]> = {}): S3Signer {
  return new S3Signer({ ...CREDENTIALS, ...AT_NOW, digests: nodeDigests, ...options });
}

const visible = fc.stringMatching(/^[;=aZ09 ,+/_.~%'()*!&:-]{0,12}$/);
const key = fc
  .array(fc.string({ unit: "binary", minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join("/"))
  .filter((text) => text.isWellFormed() && !text.split("/").some((part) => /^\.{1,2}$/.test(part)));
const request = fc.record({
  key: fc.option(key, { nil: undefined }),
  endpoint: fc.constantFrom(
    "https://account.r2.cloudflarestorage.com",
    "http://seaweed.internal:8333",
    "http://localhost:8787/cdn-cgi/local/r2/s3",
  ),
  forcePathStyle: fc.boolean(),
  method: fc.constantFrom("GET", "PUT", "POST", "DELETE", "HEAD"),
  query: fc.dictionary(fc.constantFrom("prefix", "list-type", "uploads", "start-after"), visible),
  metadata: fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9-]{0,8}$/), visible),
  sessionToken: fc.option(fc.stringMatching(/^[a-zA-Z0-9+/=]{1,20}$/), { nil: undefined }),
});

describe("S3Signer", () => {
  it("signs as another implementation does, whatever is asked for", async () => {
    await fc.assert(
      fc.asyncProperty(request, async ({ sessionToken, metadata, query, ...given }) => {
        const url = formatS3Url({ ...given, bucket: "a-bucket" }, given.key, query);
        const named = Object.entries(metadata).map(([name, value]) => [
          `x-amz-meta-${name}`,
          value.trim(),
        ]);
        const headers = { "content-md5": "x", ...(Object.fromEntries(named) as object) };
        const signable = { method: given.method, url, headers, payloadHash: "UNSIGNED-PAYLOAD" };
        const signed = await signer({ sessionToken }).sign(signable);
        expect(signed["authorization"]).toBe(await authorizationByPeer(signable, sessionToken));
        expect(signed).toMatchObject({ ...headers, "x-amz-date": "20261126T140309Z" });
        expect(signed["x-amz-security-token"]).toBe(sessionToken);
      }),
    );
  });

  it("signs alike with the digests that every runtime has", async () => {
    const signable = {
      method: "PUT",
      url: "https://a.example/b/k%20ey?uploadId=1&partNumber=2",
      headers: { "x-amz-meta-a": "b" },
      payloadHash: "UNSIGNED-PAYLOAD",
    };
    const signed = await signer({ digests: webDigests }).sign(signable);
    expect(signed).toEqual(await signer().sign(signable));
  });

  it("derives another key when the day changes", async () => {
    let nowMs = NOW_MS;
    const once = signer({ now: () => nowMs });
    const signable = { method: "GET", url: "https://a.example/b", headers: {}, payloadHash: "x" };
    await once.sign(signable);
    nowMs += 86_400_000;
    expect(await once.sign(signable)).toEqual(await signer({ now: () => nowMs }).sign(signable));
  });
});
