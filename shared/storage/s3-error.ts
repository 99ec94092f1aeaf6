import { ReplicaError } from "../errors.ts";
import type { S3Address } from "./s3-address.ts";
import { parseXml, textOf, XmlError } from "./xml.ts";

/** What a service says of a request it did not carry out. */
export interface S3Failure {
  readonly status: number;
  /** S3's name for the failure, such as `NoSuchKey`; undefined where the body has none (HEAD). */
  readonly code: string | undefined;
  readonly message: string;
}

/** Reads the body of an answer that is not a success; a body that is not S3's gives no code. */
export function parseFailure(status: number, body: string): S3Failure {
  try {
    const root = parseXml(body);
    if (root.name === "Error") {
      const message = textOf(root, "Message") ?? "";
      return { status, code: textOf(root, "Code"), message };
    }
  } catch (error) {
    // A proxy's own page, or nothing at all: the status has to do.
    if (!(error instanceof XmlError)) throw error;
  }
  return { status, code: undefined, message: "" };
}

/** What a person can check, by S3's name for the failure. */
const DENIALS: Readonly<Record<string, string>> = {
  InvalidAccessKeyId:
    "the service does not know this access key: check AWS_ACCESS_KEY_ID, and that the key belongs to this endpoint",
  Unauthorized:
    "the service does not know this access key: check AWS_ACCESS_KEY_ID, and that the key belongs to this endpoint",
  SignatureDoesNotMatch:
    "the secret does not belong to the access key: check AWS_SECRET_ACCESS_KEY, and the region",
  AccessDenied:
    "the key may not do this: check its permissions for this bucket (list, read, write and delete objects), and the bucket's name",
  RequestTimeTooSkewed:
    "this machine's clock is wrong by more than 15 minutes: set it, for example by NTP",
  ExpiredToken: "the session token has expired: get new credentials",
  InvalidToken: "the session token is not valid: check AWS_SESSION_TOKEN, or unset it",
  AccountProblem: "there is a problem with the account: ask the service",
  NoSuchBucket: "the bucket does not exist there: check its name, or create it",
  InvalidBucketName: "the service does not allow this name for a bucket: check it",
  AuthorizationHeaderMalformed:
    "the service expects another region: check the region in the URL or AWS_REGION",
  PermanentRedirect: "the bucket is in another region or at another endpoint: check both",
};

/**
 * The error for an answer that repeating does not better.
 *
 * @param what For the sentence: `write "key"`.
 * @returns `STORE_DENIED` where credentials, permissions or the bucket's name are the cause, else
 *   `R2_ERROR`.
 */
export function errorOfFailure(
  failure: S3Failure,
  { bucket, endpoint }: S3Address,
  what: string,
): ReplicaError {
  const { status, code, message } = failure;
  const where = `cannot ${what} in bucket "${bucket}" at ${endpoint}`;
  const answer = [String(status), code, message && `"${message}"`].filter(Boolean).join(" ");
  const advice = DENIALS[code ?? ""] ?? adviceOfStatus(status);
  if (advice === undefined) return new ReplicaError("R2_ERROR", `${where}: ${answer}`);
  const denied = status !== 404 || code === "NoSuchBucket";
  return new ReplicaError(denied ? "STORE_DENIED" : "R2_ERROR", `${where}: ${advice} (${answer})`);
}

function adviceOfStatus(status: number): string | undefined {
  if (status === 401) return DENIALS["Unauthorized"];
  if (status === 403) return DENIALS["AccessDenied"];
  if (status >= 300 && status < 400) return DENIALS["PermanentRedirect"];
  if (status === 404) return "nothing there speaks S3: check the endpoint";
  return undefined;
}

/** What a failed connection means, by the runtime's name for it. */
const UNREACHABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "there is no host of this name",
  EAI_AGAIN: "the name service does not answer",
  EHOSTUNREACH: "there is no route to the host",
  ENETUNREACH: "there is no route to the network",
  ETIMEDOUT: "the host does not answer",
  UND_ERR_CONNECT_TIMEOUT: "the host does not answer",
  ECONNRESET: "the connection was reset",
  EPIPE: "the connection was closed",
  UND_ERR_SOCKET: "the connection was closed",
  CERT_HAS_EXPIRED: "its certificate has expired",
  DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed: name it in NODE_EXTRA_CA_CERTS",
  SELF_SIGNED_CERT_IN_CHAIN: "its certificate is self-signed: name it in NODE_EXTRA_CA_CERTS",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "its certificate's issuer is not known: name it in NODE_EXTRA_CA_CERTS",
  ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another host name",
};

/** The error for a request that got no answer, or no whole one. */
export function errorOfConnection(
  cause: unknown,
  { bucket, endpoint }: S3Address,
  what: string,
): ReplicaError {
  const { code, message } = rootOf(cause);
  const named = code === undefined ? undefined : UNREACHABLE[code];
  const reason = `${named ?? message}${code === undefined ? "" : ` (${code})`}`;
  return new ReplicaError(
    "R2_ERROR",
    `cannot ${what} in bucket "${bucket}": ${endpoint} cannot be reached: ${reason}; check the endpoint and the network`,
    { cause },
  );
}

/** Fetch wraps what happened: the system's code, or the telling message, is on a cause. */
function rootOf(error: unknown): { readonly code: string | undefined; readonly message: string } {
  let current: unknown = error;
  let message = String(error);
  for (let depth = 0; depth < 4 && current instanceof Error; depth++) {
    message = current.message || message;
    if ("code" in current && typeof current.code === "string") {
      return { code: current.code, message };
    }
    current = current.cause;
  }
  return { code: undefined, message };
}
