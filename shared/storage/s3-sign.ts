import { AwsV4Signer } from "aws4fetch";
import { formatBasicTime } from "./iso-time.ts";

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface SignerOptions extends S3Credentials {
  readonly region: string;
  /** The system's clock: a signature names its time, and services refuse one that is off. */
  readonly now: () => number;
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

/** Signs requests with AWS Signature Version 4 for S3. */
export class S3Signer {
  readonly #options: SignerOptions;
  /** Signing keys that aws4fetch derived: one a day, so it is emptied when the day changes. */
  readonly #keys = new Map<string, ArrayBuffer>();
  #day = "";

  constructor(options: SignerOptions) {
    this.#options = options;
  }

  /**
   * All headers to send. Only the host and `x-amz-*` are signed: proxies rewrite the others, and
   * then a signature over them no longer holds.
   */
  async sign({
    method,
    url,
    headers,
    payloadHash,
  }: SignableRequest): Promise<Record<string, string>> {
    const { accessKeyId, secretAccessKey, sessionToken, region, now } = this.#options;
    const datetime = formatBasicTime(now());
    if (!datetime.startsWith(`${this.#day}T`)) {
      this.#day = datetime.slice(0, 8);
      this.#keys.clear();
    }
    const signable = Object.entries(headers).filter(([name]) => name.startsWith("x-amz-"));
    // Without `singleEncode`: aws4fetch decodes the path and encodes it once, as S3 wants it.
    const signer = new AwsV4Signer({
      method,
      url,
      headers: { ...Object.fromEntries(signable), "x-amz-content-sha256": payloadHash },
      accessKeyId,
      secretAccessKey,
      ...(sessionToken !== undefined && { sessionToken }),
      service: "s3",
      region,
      datetime,
      cache: this.#keys,
    });
    const signed: Record<string, string> = { ...headers };
    (await signer.sign()).headers.forEach((value: string, name: string) => {
      signed[name] = value;
    });
    return signed;
  }
}
