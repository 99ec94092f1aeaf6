import { ReplicaError } from "../errors.ts";
import { parseIsoTime } from "./iso-time.ts";
import type { Etag, ListOptions, ListPage, ObjectInfo } from "./object-store.ts";
import type { S3Client } from "./s3-client.ts";
import { errorOfFailure } from "./s3-error.ts";
import { parseXml, textOf, type XmlElement, XmlError } from "./xml.ts";

/** One page by ListObjectsV2; `pageSize` bounds it where the service's 1,000 are too many. */
export async function listObjects(
  client: S3Client,
  { prefix, startAfter, cursor, signal }: ListOptions,
  pageSize: number | undefined,
): Promise<ListPage> {
  const what = `list "${prefix}"`;
  const query = {
    "list-type": "2",
    // Else a key with a character that XML cannot hold would spoil the whole answer.
    "encoding-type": "url",
    prefix,
    ...(pageSize !== undefined && { "max-keys": String(pageSize) }),
    ...(cursor !== undefined && { "continuation-token": cursor }),
    ...(startAfter !== undefined && cursor === undefined && { "start-after": startAfter }),
  };
  const answer = await client.send({ method: "GET", query, what, signal });
  if (answer.failure) throw errorOfFailure(answer.failure, client.address, what);
  const text = new TextDecoder().decode(answer.body);
  return readListing(text, `${client.address.endpoint} answered`);
}

/**
 * Reads the answer to ListObjectsV2.
 *
 * @param subject For sentences: who answered.
 * @throws {ReplicaError} `R2_ERROR` when it is not such an answer.
 */
export function readListing(text: string, subject: string): ListPage {
  const root = parseAnswer(text, subject);
  if (root.name !== "ListBucketResult") throw notListing(subject, `it is a <${root.name}>`);
  const decode = textOf(root, "EncodingType") === "url" ? decodeKey : (key: string) => key;
  const objects = root.children
    .filter(({ name }) => name === "Contents")
    .map((element) => readObject(element, decode, subject));
  if (textOf(root, "IsTruncated") !== "true") return { objects };
  const cursor = textOf(root, "NextContinuationToken");
  if (!cursor) throw notListing(subject, "it has more pages but no token for the next");
  return { objects, cursor };
}

function readObject(
  element: XmlElement,
  decode: (key: string) => string,
  subject: string,
): ObjectInfo {
  const field = (name: string) => {
    const text = textOf(element, name);
    if (text === undefined) throw notListing(subject, `an object has no ${name}`);
    return text;
  };
  const size = field("Size").trim();
  const uploadedAtMs = parseIsoTime(field("LastModified").trim());
  if (!/^\d{1,15}$/.test(size)) throw notListing(subject, `a size is "${size}"`);
  if (uploadedAtMs === undefined) {
    throw notListing(subject, `a time is "${field("LastModified")}"`);
  }
  try {
    return {
      key: decode(field("Key")),
      sizeBytes: Number(size),
      uploadedAtMs,
      etag: field("ETag").replaceAll('"', "") as Etag,
    };
  } catch (error) {
    if (error instanceof URIError) throw notListing(subject, "a key is not encoded as it should");
    throw error;
  }
}

/** Services write a space as `+` or as `%20`; a plus sign is `%2B` with all of them. */
function decodeKey(key: string): string {
  return decodeURIComponent(key.replaceAll("+", "%20"));
}

/** Parses an answer's body. */
export function parseAnswer(text: string, subject: string): XmlElement {
  try {
    return parseXml(text);
  } catch (error) {
    if (error instanceof XmlError) throw notListing(subject, error.message);
    throw error;
  }
}

function notListing(subject: string, why: string): ReplicaError {
  return new ReplicaError(
    "R2_ERROR",
    `${subject} with something that is not S3's (${why}): check the endpoint`,
  );
}
