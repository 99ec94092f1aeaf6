import { ReplicaError } from "../errors.ts";
import { quirksOf, readServiceHost, withScheme } from "./store-host.ts";
import { StoreQuery } from "./store-query.ts";

/** A folder of this machine. */
export interface FolderTarget {
  readonly kind: "folder";
  /** Absolute path. */
  readonly folder: string;
}

/** A prefix in a bucket, with what it takes to talk to the service. */
export interface S3Target {
  readonly kind: "s3";
  readonly endpoint: string;
  readonly bucket: string;
  /** Prefix of the replica's keys, without a slash at its end. */
  readonly path: string;
  readonly region: string;
  readonly forcePathStyle: boolean;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
  readonly signPayload: boolean;
  readonly contentMd5: boolean;
  /** To be sent with every request. */
  readonly headers: Readonly<Record<string, string>>;
  readonly partBytes: number | undefined;
  readonly storageClass: string | undefined;
}

export type StoreTarget = FolderTarget | S3Target;

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

const MIB = 1024 * 1024;
const PART_BYTES_MIN = 5 * MIB;
/** Three parts are in memory at a time. */
const PART_BYTES_MAX = 512 * MIB;

/** Where Litestream replicates to and Eddy does not. */
const FOREIGN_SCHEMES = ["gs", "gcs", "abs", "sftp", "nats", "webdav", "webdavs", "oss"];

/**
 * Reads the URL of a replica: Litestream's `s3://bucket/path?endpoint=…` and `file:///folder`, and
 * the short `r2://ACCOUNT_ID/bucket/path`. Credentials come from the environment only.
 *
 * @param options.writing Refuses what may be read but should not be begun: a replica at the very
 *   top of a bucket.
 * @throws {ReplicaError} `BAD_CONFIG` with a sentence that says what to write instead.
 */
export function parseStoreUrl(
  url: string,
  env: Environment,
  options: { readonly writing: boolean },
): StoreTarget {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1].toLowerCase();
  if (scheme === undefined) throw withoutScheme(url);
  if (scheme === "file") return parseFileUrl(url);
  if (scheme !== "s3" && scheme !== "r2") throw withForeignScheme(scheme);
  if (!URL.canParse(url)) {
    const arn = /^s3:\/\/arn:/i.test(url) ? "; access points are not supported" : "";
    throw bad(`is not a URL: write ${FORMS[scheme]}${arn}`);
  }
  const parsed = new URL(url);
  if (parsed.username !== "" || parsed.password !== "") {
    throw bad(
      "holds credentials, which end up in logs and process lists: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead",
    );
  }
  if (parsed.hash !== "") throw bad('has a "#": write %23 where it belongs to the path');
  const place = scheme === "s3" ? placeOfS3(parsed, env) : placeOfR2(parsed);
  if (options.writing && ["", "."].includes(place.path)) {
    throw bad(
      `names no path in bucket "${place.bucket}": add one, such as ${scheme}://…/app.db, so that the bucket can hold more than this replica`,
    );
  }
  return completeTarget(place, env);
}

const FORMS = {
  s3: "s3://BUCKET/PATH?endpoint=HOST&region=REGION",
  r2: "r2://ACCOUNT_ID/BUCKET/PATH",
} as const;

interface Place {
  readonly endpoint: string | undefined;
  readonly bucket: string;
  readonly path: string;
  readonly region: string | undefined;
  readonly query: StoreQuery;
}

function placeOfS3(url: URL, env: Environment): Place {
  const query = new StoreQuery(url.searchParams);
  if (query.text("jurisdiction") !== undefined) {
    throw bad('has "jurisdiction", which belongs to r2:// URLs; here the endpoint names it');
  }
  const host = decode(url.host);
  const service = readServiceHost(host);
  const bucket = service ? service.bucket : host;
  if (bucket === undefined || !/^[A-Za-z0-9._-]+$/.test(bucket)) {
    throw bad(`names no bucket: write ${FORMS.s3}`);
  }
  const given = query.text("endpoint") ?? service?.endpoint;
  const fallback = env["LITESTREAM_S3_ENDPOINT"] || env["AWS_ENDPOINT_URL_S3"] || undefined;
  // Litestream cleans a URL's path as Go does, where nothing becomes ".": its keys begin with "./".
  const path = url.pathname === "" ? "." : cleanPath(decode(url.pathname));
  const endpoint = given ?? fallback;
  return {
    endpoint: endpoint && checkEndpoint(endpoint),
    bucket,
    path,
    region: query.text("region") ?? service?.region,
    query,
  };
}

function placeOfR2(url: URL): Place {
  const query = new StoreQuery(url.searchParams);
  if (query.text("endpoint") !== undefined) {
    throw bad(
      'has "endpoint", which an r2:// URL has in its account: write s3://… for another one',
    );
  }
  const account = url.host.toLowerCase();
  if (!/^[0-9a-f]{32}$/.test(account)) {
    throw bad(
      `has "${url.host}" where R2's account ID belongs, 32 hexadecimal digits: write ${FORMS.r2}`,
    );
  }
  const jurisdiction = query.text("jurisdiction");
  if (jurisdiction !== undefined && !/^[a-z]+$/.test(jurisdiction)) {
    throw bad(`has "jurisdiction" ${jurisdiction}: R2's are eu and fedramp`);
  }
  const [bucket, ...rest] = cleanPath(decode(url.pathname)).split("/");
  if (bucket === "") throw bad(`names no bucket: write ${FORMS.r2}`);
  const host = [account, jurisdiction, "r2.cloudflarestorage.com"].filter(Boolean).join(".");
  return {
    endpoint: `https://${host}`,
    bucket,
    path: rest.join("/"),
    region: query.text("region"),
    query,
  };
}

function completeTarget(place: Place, env: Environment): S3Target {
  const { bucket, path, query } = place;
  const quirks = place.endpoint ? quirksOf(place.endpoint) : undefined;
  const isPlain = place.endpoint?.startsWith("http:") ?? false;
  const region =
    place.region ??
    quirks?.region ??
    (env["AWS_REGION"] || env["AWS_DEFAULT_REGION"] || "us-east-1");
  // No certificate covers a bucket with dots in the host name.
  const forcePathStyle =
    query.flag("forcePathStyle") ?? (place.endpoint !== undefined || bucket.includes("."));
  // Checked like the others, but two parts at a time are enough, and all that R2 likes.
  query.count("concurrency");
  return {
    kind: "s3",
    endpoint: place.endpoint ?? `https://s3.${region}.amazonaws.com`,
    bucket,
    path,
    region,
    forcePathStyle,
    ...credentialsOf(bucket, env),
    signPayload: query.flag("signPayload") ?? isPlain,
    contentMd5: query.flag("requireContentMD5") ?? quirks?.contentMd5 ?? true,
    headers: quirks?.headers ?? {},
    partBytes: query.bytes("partSize", PART_BYTES_MIN, PART_BYTES_MAX),
    storageClass: query.text("storageClass"),
  };
}

function credentialsOf(bucket: string, env: Environment) {
  const accessKeyId = env["LITESTREAM_ACCESS_KEY_ID"] || env["AWS_ACCESS_KEY_ID"];
  const secretAccessKey = env["LITESTREAM_SECRET_ACCESS_KEY"] || env["AWS_SECRET_ACCESS_KEY"];
  if (accessKeyId && secretAccessKey) {
    // A session belongs to the key it was issued with.
    const isAws = !env["LITESTREAM_ACCESS_KEY_ID"];
    const sessionToken = (isAws && env["AWS_SESSION_TOKEN"]) || undefined;
    return { accessKeyId, secretAccessKey, sessionToken };
  }
  const missing = [
    !accessKeyId && "AWS_ACCESS_KEY_ID",
    !secretAccessKey && "AWS_SECRET_ACCESS_KEY",
  ].filter(Boolean);
  const names = missing.join(" and ");
  throw new ReplicaError(
    "BAD_CONFIG",
    `the credentials for bucket "${bucket}" are not complete: set ${names} in the environment (or ${names.replaceAll("AWS_", "LITESTREAM_")})`,
  );
}

function checkEndpoint(given: string): string {
  const endpoint = withScheme(given).replace(/\/+$/, "");
  const parsed = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  const isPlain = parsed && !parsed.username && !parsed.search && !parsed.hash && parsed.hostname;
  if (isPlain) return endpoint;
  throw bad("has an endpoint that is not an address: write a host, or http(s)://HOST:PORT");
}

function parseFileUrl(url: string): FolderTarget {
  const rest = url.slice("file://".length);
  const query = rest.indexOf("?");
  if (query >= 0) throw bad('has parameters, which a folder has none of; "?" in a name is %3F');
  if (!rest.startsWith("/")) {
    throw bad(`has three slashes before an absolute path: write file:///${rest}`);
  }
  const folder = `/${cleanPath(decode(rest))}`;
  if (folder === "/") throw bad("names the root of the file system: name a folder in it");
  return { kind: "folder", folder };
}

/** Cleans a path as Go's `path.Clean` does: no empty, "." or ".." part, no slash at either end. */
function cleanPath(path: string): string {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A URIError says nothing that this sentence does not.
    throw bad('has a "%" that begins no escape: write %25 for the sign itself');
  }
}

function withoutScheme(url: string): ReplicaError {
  if (/^[a-z0-9]{2,}:/i.test(url)) return bad(`needs two slashes after its scheme: ${FORMS.s3}`);
  const path = url.startsWith("/") ? url : "/absolute/path";
  return new ReplicaError(
    "BAD_CONFIG",
    `"${url}" is not a replica's URL: write file://${path} for a folder, or ${FORMS.s3}`,
  );
}

function withForeignScheme(scheme: string): ReplicaError {
  const known = FOREIGN_SCHEMES.includes(scheme)
    ? `${scheme}:// is one of Litestream's stores, but not of Eddy's`
    : `there is no store for ${scheme}://`;
  return bad(`begins with a scheme that cannot be used (${known}): write s3://, r2:// or file://`);
}

function bad(why: string): ReplicaError {
  return new ReplicaError("BAD_CONFIG", `the replica's URL ${why}`);
}
