import { ReplicaError } from "../errors.ts";
import { nearestWord } from "../nearest-word.ts";

/** Parameters of a store's URL; Litestream writes each in camel case or with hyphens. */
const SUPPORTED = [
  "endpoint",
  "region",
  "forcePathStyle",
  "signPayload",
  "requireContentMD5",
  "concurrency",
  "partSize",
  "storageClass",
  "jurisdiction",
] as const;

export type StoreParameter = (typeof SUPPORTED)[number];

/** Litestream's, which Eddy refuses by name rather than to act as if it had obeyed. */
const REFUSED: Readonly<Record<string, string>> = {
  skipVerify:
    "Eddy always verifies certificates: name a private authority in NODE_EXTRA_CA_CERTS, or use http:// inside a network you trust",
  sseCustomerAlgorithm: "Eddy does not encrypt with keys of the customer",
  sseCustomerKey: "Eddy does not encrypt with keys of the customer",
  sseCustomerKeyMD5: "Eddy does not encrypt with keys of the customer",
  sseKmsKeyId: "set the bucket's default encryption to this key instead",
};

const HYPHENATED = new Map<string, string>(
  [...SUPPORTED, ...Object.keys(REFUSED)].map((name) => [hyphenate(name), name]),
);

/** A store URL's parameters by their camel-case names, each of them checked. */
export class StoreQuery {
  readonly #values = new Map<string, string>();

  /** @throws {ReplicaError} `BAD_CONFIG` for parameters that are not known, or given twice. */
  constructor(parameters: URLSearchParams) {
    for (const [given, value] of parameters) {
      const name = HYPHENATED.get(given) ?? given;
      const refusal = REFUSED[name];
      if (refusal !== undefined) throw bad(`"${given}" is not supported: ${refusal}`);
      if (!isSupported(name))
        throw bad(`"${given}" is not a parameter of a store's URL; ${hint(given)}`);
      if (this.#values.has(name)) throw bad(`"${given}" is given twice`);
      this.#values.set(name, value);
    }
  }

  /** The value as it stands; undefined when it is absent or empty. */
  text(name: StoreParameter): string | undefined {
    return this.#values.get(name) || undefined;
  }

  flag(name: StoreParameter): boolean | undefined {
    const text = this.text(name)?.toLowerCase();
    if (text === undefined) return undefined;
    if (["true", "1", "t", "yes"].includes(text)) return true;
    if (["false", "0", "f", "no"].includes(text)) return false;
    throw bad(`"${name}" is "${text}", but it can only be true or false`);
  }

  /** A number of bytes, written plain or as `16MiB` or `16MB`. */
  bytes(name: StoreParameter, min: number, max: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const match = /^(\d{1,13})(MB|MiB)?$/i.exec(text);
    const units: Readonly<Record<string, number>> = { "": 1, mb: 1e6, mib: 1024 * 1024 };
    const bytes =
      match === null ? Number.NaN : Number(match[1]) * units[(match[2] ?? "").toLowerCase()];
    if (bytes >= min && bytes <= max) return bytes;
    throw bad(`"${name}" is "${text}", but it is to be from ${min} to ${max} bytes, such as 16MiB`);
  }

  /** A whole number above zero. */
  count(name: StoreParameter): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    if (/^[1-9]\d{0,5}$/.test(text)) return Number(text);
    throw bad(`"${name}" is "${text}", but it is to be a whole number above zero`);
  }
}

function isSupported(name: string): name is StoreParameter {
  return (SUPPORTED as readonly string[]).includes(name);
}

function hyphenate(name: string): string {
  return name.replace(/MD5/g, "Md5").replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function hint(given: string): string {
  const nearest = nearestWord(given, SUPPORTED);
  return nearest === undefined ? `known are ${SUPPORTED.join(", ")}` : `is "${nearest}" meant?`;
}

function bad(why: string): ReplicaError {
  return new ReplicaError("BAD_CONFIG", `in the replica's URL, ${why}`);
}
