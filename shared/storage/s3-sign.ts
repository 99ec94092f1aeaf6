/** AWS Signature Version 4, as S3 wants it. */
import type { Digests } from "./digests.ts";
import { formatBasicTime } from "./iso-time.ts";
import { encodeUri } from "./s3-address.ts";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface SignerOptions extends S3Credentials {
  readonly region: string;
  /** The system's clock: a signature names its time, and services refuse one that is off. */
  readonly now: () => number;
  readonly digests: Digests;
}

export interface SignableRequest {
  readonly method: string;
  /** Percent-encoded as `formatS3Url` does; the signature holds for no other spelling. */
  readonly url: string;
  /** Names in lower case. Only those that begin with `x-amz-` are signed. */
  readonly headers: Readonly<Record<string, string>>;
  /** Hex SHA-256 of the body, or `UNSIGNED-PAYLOAD`. */
  readonly payloadHash: string;
}

const encoder = new TextEncoder();

/**
 * Signs requests with AWS Signature Version 4 for S3.
 *
 * @see https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 */
export class S3Signer {
  readonly #options: SignerOptions;
  /** The key that is derived from the secret: another one each day. */
  #key = new Uint8Array(0);
  #day = "";

  constructor(options: SignerOptions) {
    this.#options = options;
  }

  /**
   * All headers to send. Only the host and `x-amz-*` are signed: proxies rewrite the others, and
   * then a signature over them no longer holds.
   */
  async sign(request: SignableRequest): Promise<Record<string, string>> {
    const { method, headers, payloadHash } = request;
    const { accessKeyId, sessionToken, region, now, digests } = this.#options;
    const time = formatBasicTime(now());
    const day = time.slice(0, 8);
    const own = {
      "x-amz-content-sha256": payloadHash,
      "x-amz-date": time,
      ...(sessionToken !== undefined && { "x-amz-security-token": sessionToken }),
    };
    const { host, pathname, search } = new URL(request.url);
    const signed = signedHeaders({ ...headers, ...own, host });
    const names = signed.map(([name]) => name).join(";");
    const lines = signed.map(([name, value]) => `${name}:${value}\n`).join("");
    const canonical = [
      method,
      canonicalPath(pathname),
      canonicalQuery(search),
      lines,
      names,
      payloadHash,
    ].join("\n");
    const scope = `${day}/${region}/s3/aws4_request`;
    const hash = hex(await digests.sha256(encoder.encode(canonical)));
    const text = ["AWS4-HMAC-SHA256", time, scope, hash].join("\n");
    const key = await this.#keyOf(day);
    const signature = hex(await digests.hmacSha256(key, encoder.encode(text)));
    const credential = `Credential=${accessKeyId}/${scope}`;
    const authorization = `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names}, Signature=${signature}`;
    return { ...headers, ...own, authorization };
  }

  async #keyOf(day: string): Promise<Uint8Array> {
    if (this.#day === day) return this.#key;
    const { secretAccessKey, region, digests } = this.#options;
    let key: Uint8Array = encoder.encode(`AWS4${secretAccessKey}`);
    for (const part of [day, region, "s3", "aws4_request"]) {
      key = await digests.hmacSha256(key, encoder.encode(part));
    }
    [this.#key, this.#day] = [new Uint8Array(key), day];
    return this.#key;
  }
}

/** Names and values, by name. */
function signedHeaders(headers: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(headers)
    .filter(([name]) => name === "host" || name.startsWith("x-amz-"))
    .map(([name, value]): [string, string] => [name, value.trim().replaceAll(/ +/g, " ")])
    .toSorted(byCodeUnits);
}

/** The service reads the path and writes it anew, so an endpoint's own path may be spelled otherwise. */
function canonicalPath(pathname: string): string {
  return pathname.split("/").map(respell).join("/");
}

function canonicalQuery(search: string): string {
  if (search.length < 2) return "";
  const pairs = search
    .slice(1)
    .split("&")
    .map((pair): [string, string] => {
      const [name = "", value = ""] = pair.split("=", 2);
      return [respell(name), respell(value)];
    });
  return pairs
    .toSorted(byCodeUnits)
    .map(([name, value]) => `${name}=${value}`)
    .join("&");
}

function respell(encoded: string): string {
  return encodeUri(decodeURIComponent(encoded));
}

function byCodeUnits([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : Number(a > b);
}

function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += (256 + byte).toString(16).slice(1);
  return text;
}
