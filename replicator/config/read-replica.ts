import { pathToFileURL } from "node:url";
import { ReplicaError } from "../../shared/errors.ts";
import type { Environment } from "../../shared/storage/store-url.ts";
import type { ReplicaConfig } from "./config.ts";
import { FOREIGN_TYPES, REPLICA_KEYS } from "./key-tables.ts";
import { localPath } from "./local-path.ts";
import { identityOf, replicaOfUrl } from "./replica-place.ts";
import type { Fields, YamlNode } from "./yaml-node.ts";

/** Keys of a replica that are parameters of its URL, and what they are called there. */
const PARAMETERS = {
  region: "region",
  endpoint: "endpoint",
  "force-path-style": "forcePathStyle",
  "sign-payload": "signPayload",
  "require-content-md5": "requireContentMD5",
  "storage-class": "storageClass",
  "part-size": "partSize",
} as const;

export interface ReadReplica {
  readonly replica: ReplicaConfig;
  readonly syncIntervalMs: number | undefined;
}

/**
 * Reads a `replica` block.
 *
 * @param defaults The top of the file, where any of its settings may stand for all replicas.
 * @throws {ReplicaError} `BAD_CONFIG` with the line.
 */
export function readReplica(node: YamlNode, defaults: Fields, env: Environment): ReadReplica {
  const own = node.fields(REPLICA_KEYS);
  const isSet = (name: string) => own.text(name) !== undefined;
  const setting = (name: string) => (isSet(name) ? own : defaults).get(name);
  const kind = kindOf(own);
  refuseContradictions(own);
  const skipVerify = setting("skip-verify");
  if (skipVerify?.flag()) {
    throw skipVerify.refuse(
      '"skip-verify" is not supported: Eddy always verifies certificates; name a private authority in NODE_EXTRA_CA_CERTS, or use http:// inside a network you trust',
    );
  }
  const place = kind === "file" ? placeOfFolder(own) : placeInBucket(own, setting);
  const replica = {
    ...place,
    accessKeyId: kind === "file" ? undefined : setting("access-key-id")?.text(),
    secretAccessKey: kind === "file" ? undefined : setting("secret-access-key")?.text(),
  };
  // Whatever the URL's own rules say is said here, where the line is known.
  const culprit = own.get("url") ?? own.get("bucket") ?? own.get("path") ?? node;
  culprit.blame(() => identityOf(replica, env));
  return { replica, syncIntervalMs: setting("sync-interval")?.durationMs() };
}

function kindOf(own: Fields): "s3" | "file" {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(own.text("url") ?? "")?.[1]?.toLowerCase();
  const type = scheme ?? own.text("type")?.toLowerCase() ?? "file";
  const culprit = own.get(scheme === undefined ? "type" : "url") ?? own.node;
  if (type === "file") return "file";
  if (type === "s3" || type === "r2") return "s3";
  const known = FOREIGN_TYPES.includes(type)
    ? `"${type}" is one of Litestream's stores, but not of Eddy's`
    : `there is no store of type "${type}"`;
  throw culprit.refuse(`${known}: s3, r2 and file are there`);
}

function refuseContradictions(own: Fields): void {
  const path = own.text("path");
  if (path !== undefined && /^[a-z][a-z0-9+.-]*:\/\//i.test(path)) {
    throw own.get("path")!.refuse(`the path is a URL: write it as "url" instead`);
  }
  if (own.text("url") !== undefined) {
    for (const name of ["path", "bucket"]) {
      if (own.text(name) === undefined) continue;
      throw own.get(name)!.refuse(`"${name}" is in the URL already: leave one of the two out`);
    }
  }
}

function placeOfFolder(own: Fields): Omit<ReplicaConfig, "accessKeyId" | "secretAccessKey"> {
  const bucket = own.get("bucket");
  if (bucket && own.text("bucket") !== undefined) {
    throw bucket.refuse('a bucket is given, but no type: write "type: s3" beside it');
  }
  const url = own.text("url");
  if (url !== undefined) return replicaOfUrl(url);
  const path = own.text("path");
  if (path === undefined) {
    throw own.node.refuse(
      "the replica is nowhere: write url (s3://BUCKET/PATH, r2://…, file:///FOLDER), or path, or type: s3 with bucket and path",
    );
  }
  return replicaOfUrl(pathToFileURL(localPath(path)).href);
}

function placeInBucket(
  own: Fields,
  setting: (name: string) => YamlNode | undefined,
): Omit<ReplicaConfig, "accessKeyId" | "secretAccessKey"> {
  const given = own.text("url");
  const keyPath = given === undefined ? (own.text("path") ?? "") : undefined;
  const bucket = setting("bucket")?.text();
  if (given === undefined && bucket === undefined) {
    throw own.node.refuse("the replica has no bucket: write bucket and path, or url");
  }
  const path = (keyPath ?? "").split("/").map(encodeURIComponent).join("/").replace(/^\/+/, "");
  const url = given ?? `s3://${bucket}/${path}`;
  // What is wrong with the URL is told when it is parsed.
  if (!URL.canParse(url)) return { ...replicaOfUrl(url), keyPath };
  const parsed = new URL(url);
  for (const [name, parameter] of Object.entries(PARAMETERS)) {
    // An r2:// URL has its endpoint in the account; a default for others is not meant for it.
    const isForeign = name === "endpoint" && parsed.protocol === "r2:";
    const node = isForeign ? own.get(name) : setting(name);
    const text = node && valueOf(name, node);
    if (text === undefined) continue;
    parsed.searchParams.delete(name);
    parsed.searchParams.set(parameter, text);
  }
  return { ...replicaOfUrl(parsed.href), keyPath };
}

function valueOf(name: string, node: YamlNode): string | undefined {
  if (/^(force|sign|require)-/.test(name)) return node.flag()?.toString();
  const text = node.text();
  if (name !== "part-size" || text === undefined) return text;
  return String(node.blame(() => parseSize(text, name)));
}

/** Bytes of `5MiB`, `16MB` or `5242880`. */
function parseSize(text: string, name: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmg]?)(i?)b?$/i.exec(text);
  if (match === null) {
    throw new ReplicaError("BAD_CONFIG", `${name} is "${text}", which is no size: write 16MiB`);
  }
  const [, count, unit, isBinary] = match;
  const power = ["", "k", "m", "g"].indexOf((unit ?? "").toLowerCase());
  return Math.floor(Number(count) * (isBinary ? 1024 : 1000) ** power);
}
