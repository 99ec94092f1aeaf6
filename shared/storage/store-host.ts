/** What the host name of an S3 service tells about how to talk to it. */
export interface HostFacts {
  /** Bucket before the service's own name, where the host has one. */
  readonly bucket: string | undefined;
  /** With scheme; undefined when the host is nobody's that is known here. */
  readonly endpoint: string;
  readonly region: string | undefined;
}

/** Services whose hosts Litestream takes in place of a bucket's name: `BUCKET.HOST`. */
const SERVICES: readonly { readonly host: RegExp; readonly endpoint: string }[] = [
  { host: /^s3\.([^.]+)\.backblazeb2\.com$/, endpoint: "s3.REGION.backblazeb2.com" },
  { host: /^s3\.([^.]+)\.scw\.cloud$/, endpoint: "s3.REGION.scw.cloud" },
  { host: /^([^.]+)\.digitaloceanspaces\.com$/, endpoint: "REGION.digitaloceanspaces.com" },
  { host: /^([^.]+)\.linodeobjects\.com$/, endpoint: "REGION.linodeobjects.com" },
  { host: /^s3\.filebase\.com$/, endpoint: "s3.filebase.com" },
  { host: /^localhost$/, endpoint: "localhost" },
];

/**
 * Reads a host such as `backups.nyc3.digitaloceanspaces.com` or `backups.localhost:9000`.
 *
 * @returns Undefined for a plain bucket name.
 */
export function readServiceHost(host: string): HostFacts | undefined {
  const [name, port] = host.split(":");
  // The bucket's name may have dots itself, so the longest one that leaves a service is taken.
  const labels = name.split(".");
  for (let first = labels.length - 1; first >= 0; first--) {
    const rest = labels.slice(first).join(".");
    for (const { host: pattern, endpoint } of SERVICES) {
      const match = pattern.exec(rest);
      if (match === null) continue;
      const region = match[1] ?? (rest === "localhost" ? "us-east-1" : undefined);
      const address = endpoint.replace("REGION", region ?? "") + (port ? `:${port}` : "");
      const bucket = first === 0 ? undefined : labels.slice(0, first).join(".");
      return { bucket, region, endpoint: withScheme(address) };
    }
  }
  return undefined;
}

/** Gives an endpoint its scheme: https, but http for hosts of this machine or a private network. */
export function withScheme(endpoint: string): string {
  if (/^https?:\/\//i.test(endpoint)) return endpoint;
  const host = endpoint.replace(/[:/].*$/, "");
  const isLocal =
    /^(localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)|\.(local|localhost)$/.test(host);
  return `${isLocal ? "http" : "https"}://${endpoint}`;
}

/** What a service asks for that others do not. */
export interface ServiceQuirks {
  /** The only region name it is sure to take. */
  readonly region: string | undefined;
  readonly contentMd5: boolean;
  readonly headers: Readonly<Record<string, string>>;
}

/** Looks up what is particular to the service at `endpoint`. */
export function quirksOf(endpoint: string): ServiceQuirks {
  const { hostname } = new URL(endpoint);
  const isR2 = hostname.endsWith(".r2.cloudflarestorage.com");
  // Tigris keeps copies in several regions and answers from the nearest unless asked not to.
  const isTigris = /(^|\.)(tigris\.dev|storage\.dev)$/.test(hostname);
  return {
    region: isR2 || isTigris ? "auto" : undefined,
    contentMd5: !isTigris,
    headers: isTigris ? { "x-tigris-consistent": "true" } : {},
  };
}
