import { ReplicaError } from "../errors.ts";

/** Where a bucket is. */
export interface S3Address {
  /** With scheme, without a trailing slash; may have a path. */
  readonly endpoint: string;
  readonly bucket: string;
  /** The bucket as first part of the path, not of the host name. */
  readonly forcePathStyle: boolean;
}

/**
 * Address of one request.
 *
 * Everything but letters, digits and `-._~` is percent-encoded here, which is exactly what a
 * signature's canonical form demands. Left to `URL`, `'()*!` would go out plain while the signer
 * encodes them, and a `+` would be signed as a space: both end in 403.
 *
 * @throws {ReplicaError} `BAD_CONFIG` for keys that no URL can carry.
 */
export function formatS3Url(
  { endpoint, bucket, forcePathStyle }: S3Address,
  key: string | undefined,
  query: Readonly<Record<string, string>> = {},
): string {
  const base = forcePathStyle
    ? `${endpoint}/${encodeUri(bucket)}`
    : withBucketHost(endpoint, bucket);
  const path = key === undefined ? "" : encodeKey(key);
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeUri(value)}`);
  // Without a key a bucket's address ends in a slash where the host is all there is.
  const slash = key === undefined && forcePathStyle ? "" : "/";
  return `${base}${slash}${path}${pairs.length > 0 ? `?${pairs.join("&")}` : ""}`;
}

/** Percent-encodes everything but the unreserved characters of RFC 3986. */
export function encodeUri(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function encodeKey(key: string): string {
  if (!key.isWellFormed()) {
    throw new ReplicaError("BAD_CONFIG", `the key "${key}" is not Unicode text`);
  }
  const segments = key.split("/");
  if (key === "" || segments.includes(".") || segments.includes("..")) {
    throw new ReplicaError(
      "BAD_CONFIG",
      `the key "${key}" cannot be asked for: HTTP clients resolve "." and ".." in an address; give the replica a path of its own`,
    );
  }
  return segments.map(encodeUri).join("/");
}

function withBucketHost(endpoint: string, bucket: string): string {
  const [scheme, rest] = endpoint.split("://");
  return `${scheme}://${bucket}.${rest}`;
}
