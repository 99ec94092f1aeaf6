import { describe, expect, it } from "vitest";
import { parseStoreUrl, type Environment } from "../../../shared/storage/store-url.ts";

const KEYS = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" };
const ACCOUNT = "0123456789abcdef0123456789abcdef";

function parse(url: string, env: Environment = KEYS, writing = false) {
  return parseStoreUrl(url, env, { writing });
}

describe("parseStoreUrl", () => {
  it("reads Litestream's URL with an endpoint", () => {
    const url =
      "s3://backups/prod/app.db?endpoint=http://minio:9000&region=eu-1&forcePathStyle=true";
    expect(parse(url)).toEqual({
      kind: "s3",
      endpoint: "http://minio:9000",
      bucket: "backups",
      path: "prod/app.db",
      region: "eu-1",
      forcePathStyle: true,
      accessKeyId: "id",
      secretAccessKey: "secret",
      sessionToken: undefined,
      signPayload: true,
      contentMd5: true,
      headers: {},
      partBytes: undefined,
      storageClass: undefined,
    });
  });

  it("reads R2's short form", () => {
    expect(parse(`r2://${ACCOUNT}/backups/prod/app.db`)).toMatchObject({
      endpoint: `https://${ACCOUNT}.r2.cloudflarestorage.com`,
      bucket: "backups",
      path: "prod/app.db",
      region: "auto",
      forcePathStyle: true,
      signPayload: false,
    });
    expect(parse(`r2://${ACCOUNT.toUpperCase()}/b/p?jurisdiction=eu`)).toMatchObject({
      endpoint: `https://${ACCOUNT}.eu.r2.cloudflarestorage.com`,
    });
  });

  it.each([
    ["file:///backup/app", "/backup/app"],
    ["file:///backup//app/", "/backup/app"],
    ["file:///a/./b/../c", "/a/c"],
    ["file:///with%20space/%C3%A9", "/with space/é"],
    ["file:///with space/é#1", "/with space/é#1"],
  ])("reads %s as the folder %s", (url, folder) => {
    expect(parse(url, {})).toEqual({ kind: "folder", folder });
    expect(parse(url, {}, true)).toEqual({ kind: "folder", folder });
  });

  it.each([
    ["s3://b/x/y", "x/y"],
    ["s3://b/x/y/", "x/y"],
    ["s3://b//x//y", "x/y"],
    ["s3://b/x/../y/./z", "y/z"],
    ["s3://b/a%20b/%2B", "a b/+"],
    ["s3://b/", ""],
    ["s3://b", "."],
    [`r2://${ACCOUNT}/b`, ""],
    [`r2://${ACCOUNT}/b/x/`, "x"],
  ])("cleans the path of %s as Litestream does, to %j", (url, path) => {
    expect(parse(url)).toMatchObject({ path, bucket: "b" });
  });

  it.each(["s3://b", "s3://b/", "s3://b/./", `r2://${ACCOUNT}/b/`])(
    "refuses to begin a replica at the top of a bucket: %s",
    (url) => {
      expect(() => parse(url, KEYS, true)).toThrow(
        expect.objectContaining({
          code: "BAD_CONFIG",
          message: expect.stringContaining('names no path in bucket "b": add one'),
        }),
      );
    },
  );

  it.each([
    [
      "backups.nyc3.digitaloceanspaces.com",
      "backups",
      "nyc3",
      "https://nyc3.digitaloceanspaces.com",
    ],
    [
      "my.backups.nyc3.digitaloceanspaces.com",
      "my.backups",
      "nyc3",
      "https://nyc3.digitaloceanspaces.com",
    ],
    [
      "b.s3.us-west-002.backblazeb2.com",
      "b",
      "us-west-002",
      "https://s3.us-west-002.backblazeb2.com",
    ],
    ["b.s3.fr-par.scw.cloud", "b", "fr-par", "https://s3.fr-par.scw.cloud"],
    ["b.us-east-1.linodeobjects.com", "b", "us-east-1", "https://us-east-1.linodeobjects.com"],
    ["b.s3.filebase.com", "b", "us-east-1", "https://s3.filebase.com"],
    ["b.localhost:9000", "b", "us-east-1", "http://localhost:9000"],
  ])("takes bucket, region and endpoint from the host %s", (host, bucket, region, endpoint) => {
    expect(parse(`s3://${host}/p`)).toMatchObject({
      bucket,
      region,
      endpoint,
      path: "p",
      forcePathStyle: true,
    });
  });

  it.each([
    ["s3.example.com", "https://s3.example.com"],
    ["https://s3.example.com/", "https://s3.example.com"],
    ["http://s3.example.com/base/", "http://s3.example.com/base"],
    ["localhost:9000", "http://localhost:9000"],
    ["192.168.1.5:9000", "http://192.168.1.5:9000"],
    ["172.20.0.2", "http://172.20.0.2"],
    ["172.200.0.2", "https://172.200.0.2"],
    ["minio.local", "http://minio.local"],
  ])("reads the endpoint %s as %s", (given, endpoint) => {
    expect(parse(`s3://b/p?endpoint=${given}`)).toMatchObject({ endpoint });
    expect(parse("s3://b/p", { ...KEYS, AWS_ENDPOINT_URL_S3: given })).toMatchObject({ endpoint });
  });

  it("talks to AWS by the bucket's host name where no endpoint is given", () => {
    expect(parse("s3://b/p?region=eu-central-1")).toMatchObject({
      endpoint: "https://s3.eu-central-1.amazonaws.com",
      forcePathStyle: false,
    });
    expect(parse("s3://dots.in.name/p")).toMatchObject({ forcePathStyle: true });
    expect(parse("s3://b/p?endpoint=h&forcePathStyle=false")).toMatchObject({
      forcePathStyle: false,
    });
  });

  it.each<[string, string, Environment, string]>([
    ["the URL's before the environment's", "s3://b/p?region=url", { AWS_REGION: "env" }, "url"],
    ["the environment's", "s3://b/p", { AWS_REGION: "env" }, "env"],
    ["the environment's default", "s3://b/p", { AWS_DEFAULT_REGION: "env" }, "env"],
    ["us-east-1 at last", "s3://b/p", {}, "us-east-1"],
    ["R2's own, which knows no other", `r2://${ACCOUNT}/b/p`, { AWS_REGION: "env" }, "auto"],
    ["the host's", "s3://b.nyc3.digitaloceanspaces.com/p", { AWS_REGION: "env" }, "nyc3"],
  ])("takes the region from %s", (_name, url, env, region) => {
    expect(parse(url, { ...KEYS, ...env })).toMatchObject({ region });
  });

  it.each<[string, Environment, object]>([
    ["AWS_*", KEYS, { accessKeyId: "id", secretAccessKey: "secret", sessionToken: undefined }],
    [
      "AWS_* with a session",
      { ...KEYS, AWS_SESSION_TOKEN: "token" },
      { accessKeyId: "id", sessionToken: "token" },
    ],
    [
      "LITESTREAM_* before AWS_*, whose session is not theirs",
      {
        ...KEYS,
        AWS_SESSION_TOKEN: "token",
        LITESTREAM_ACCESS_KEY_ID: "their-id",
        LITESTREAM_SECRET_ACCESS_KEY: "their-secret",
      },
      { accessKeyId: "their-id", secretAccessKey: "their-secret", sessionToken: undefined },
    ],
  ])("takes credentials from %s", (_name, env, expected) => {
    expect(parse("s3://b/p", env)).toMatchObject(expected);
  });

  it("takes the endpoint from LITESTREAM_S3_ENDPOINT before AWS's", () => {
    const env = { ...KEYS, LITESTREAM_S3_ENDPOINT: "theirs", AWS_ENDPOINT_URL_S3: "aws" };
    expect(parse("s3://b/p", env)).toMatchObject({ endpoint: "https://theirs" });
    expect(parse("s3://b/p?endpoint=own", env)).toMatchObject({ endpoint: "https://own" });
  });

  it.each([
    ["forcePathStyle=false&endpoint=h", { forcePathStyle: false }],
    ["force-path-style=0&endpoint=h", { forcePathStyle: false }],
    ["signPayload=false", { signPayload: false }],
    ["signPayload=true", { signPayload: true }],
    ["endpoint=http://minio:9000", { signPayload: true }],
    ["endpoint=https://minio:9000", { signPayload: false }],
    ["region=eu-1", { signPayload: false }],
    ["sign-payload=no", { signPayload: false }],
    ["requireContentMD5=false", { contentMd5: false }],
    ["require-content-md5=f", { contentMd5: false }],
    ["partSize=33554432", { partBytes: 33_554_432 }],
    ["part-size=8MiB", { partBytes: 8_388_608 }],
    ["part-size=10MB", { partBytes: 10_000_000 }],
    ["storageClass=STANDARD_IA", { storageClass: "STANDARD_IA" }],
    ["storage-class=STANDARD_IA", { storageClass: "STANDARD_IA" }],
    ["concurrency=5", {}],
    ["endpoint=fly.storage.tigris.dev", { contentMd5: false, region: "auto" }],
  ])("understands ?%s", (query, expected) => {
    expect(parse(`s3://b/p?${query}`)).toMatchObject(expected);
  });

  it.each<[string, string, string]>([
    ["a plain path", "/backup/app", "write file:///backup/app for a folder"],
    ["a relative path", "backup", "write file:///absolute/path for a folder"],
    ["nothing", "", "is not a replica's URL"],
    ["one slash too few", "s3:/b/p", "needs two slashes after its scheme"],
    ["a relative folder", "file://backup/app", "write file:///backup/app"],
    ["the root folder", "file:///", "names the root of the file system"],
    ["a folder with parameters", "file:///b?region=x", '"?" in a name is %3F'],
    ["a store of Litestream's", "gs://b/p", "one of Litestream's stores, but not of Eddy's"],
    ["a scheme of nobody's", "http://b/p", "there is no store for http://"],
    ["no bucket", "s3:///p", "names no bucket"],
    ["a service without a bucket", "s3://nyc3.digitaloceanspaces.com/p", "names no bucket"],
    ["an impossible bucket", "s3://b%20c/p", "names no bucket"],
    ["an access point", "s3://arn:aws:s3:eu-1:1:accesspoint/x", "access points are not supported"],
    ["credentials", "s3://key:hush@b/p", "holds credentials"],
    ["a fragment", "s3://b/p#1", "write %23"],
    ["half an escape", "s3://b/50%", 'has a "%" that begins no escape'],
    ["no account", "r2://backups/p", "where R2's account ID belongs"],
    ["an account alone", `r2://${ACCOUNT}`, "names no bucket"],
    ["an endpoint for R2", `r2://${ACCOUNT}/b/p?endpoint=x`, "write s3://"],
    ["a jurisdiction elsewhere", "s3://b/p?jurisdiction=eu", "belongs to r2:// URLs"],
    ["a jurisdiction that is none", `r2://${ACCOUNT}/b/p?jurisdiction=e.u`, "eu and fedramp"],
    ["an endpoint that is none", "s3://b/p?endpoint=http://", "an endpoint that is not an address"],
    ["an endpoint with a secret", "s3://b/p?endpoint=http://a:b@h", "an endpoint that is not"],
    ["a slip of the pen", "s3://b/p?enpoint=x", 'is "endpoint" meant?'],
    ["another case", "s3://b/p?forcepathstyle=true", 'is "forcePathStyle" meant?'],
    ["an unknown parameter", "s3://b/p?colour=red", "known are endpoint, region,"],
    ["a parameter twice", "s3://b/p?region=a&region=b", '"region" is given twice'],
    ["a parameter in both spellings", "s3://b/p?partSize=8MB&part-size=8MB", "is given twice"],
    ["certificates unchecked", "s3://b/p?skipVerify=true", '"skipVerify" is not supported'],
    ["the same with a hyphen", "s3://b/p?skip-verify=true", "always verifies certificates"],
    [
      "keys of the customer",
      "s3://b/p?sseCustomerKeyMD5=x",
      '"sseCustomerKeyMD5" is not supported',
    ],
    ["a flag that is none", "s3://b/p?signPayload=maybe", "can only be true or false"],
    ["parts too small", "s3://b/p?partSize=1MB", "from 5242880 to 536870912 bytes"],
    ["parts that are no number", "s3://b/p?partSize=big", "such as 16MiB"],
    ["no concurrency", "s3://b/p?concurrency=0", "a whole number above zero"],
  ])("refuses %s", (_name, url, message) => {
    expect(() => parse(url)).toThrow(
      expect.objectContaining({ code: "BAD_CONFIG", message: expect.stringContaining(message) }),
    );
  });

  it.each<[string, Environment, string]>([
    [
      "both",
      {},
      "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment (or LITESTREAM_ACCESS_KEY_ID and LITESTREAM_SECRET_ACCESS_KEY)",
    ],
    ["the secret", { AWS_ACCESS_KEY_ID: "id" }, "set AWS_SECRET_ACCESS_KEY in the environment"],
    [
      "the key",
      { LITESTREAM_SECRET_ACCESS_KEY: "s", AWS_ACCESS_KEY_ID: "" },
      "set AWS_ACCESS_KEY_ID in",
    ],
  ])("names the variables where %s is missing", (_name, env, message) => {
    expect(() => parse("s3://b/p", env)).toThrow(
      expect.objectContaining({ code: "BAD_CONFIG", message: expect.stringContaining(message) }),
    );
  });

  it("repeats no secret of a URL that it refuses", () => {
    expect(() => parse("s3://key:hush@b/p")).not.toThrow(/hush/);
  });
});
