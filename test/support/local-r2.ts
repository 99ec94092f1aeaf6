/**
 * A bucket of wrangler's local R2 for tests in Node: its S3 endpoint, for what the replicator
 * writes, and its binding, for what the Worker reads. Both see the same objects at once.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { R2Bucket } from "@cloudflare/workers-types/experimental";
import { QUIET_WRANGLER } from "../../tools/quiet-wrangler.ts";

const CREDENTIALS = { accessKeyId: "test-key", secretAccessKey: "test-secret" } as const;
const BUCKET = "test-bucket";

export interface LocalR2 {
  /** S3 endpoint, without the bucket and without a trailing slash. */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** The same bucket as a Worker's binding. */
  readonly binding: R2Bucket;
  /** What `eddy replicate` is given; an endpoint of your own puts a proxy in between. */
  storeUrl(path: string, endpoint?: string): string;
  /** Credentials for `storeUrl`, as environment variables. */
  readonly env: Readonly<Record<string, string>>;
  /** Deletes every object. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a local R2 with one empty bucket, in about a second; close it in `afterAll`. */
export async function startLocalR2(): Promise<LocalR2> {
  // Wrangler reads these when it is loaded.
  Object.assign(process.env, QUIET_WRANGLER);
  const { createTestHarness } = await import("wrangler");
  const folder = mkdtempSync(join(tmpdir(), "eddy-local-r2-"));
  writeFileSync(join(folder, "worker.js"), workerSource);
  writeFileSync(join(folder, "wrangler.json"), JSON.stringify(config));
  const server = createTestHarness({
    root: folder,
    workers: [{ configPath: "./wrangler.json" }],
  });
  const close = async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const { url } = await server.listen();
    const env = await server.getWorker<{ BUCKET: R2Bucket }>().getEnv();
    const endpoint = `${url.origin}/cdn-cgi/local/r2/s3`;
    return {
      endpoint,
      bucket: BUCKET,
      region: "auto",
      ...CREDENTIALS,
      binding: env.BUCKET,
      storeUrl: (path, through = endpoint) =>
        `s3://${BUCKET}/${path}?endpoint=${encodeURIComponent(through)}&region=auto&forcePathStyle=true`,
      env: {
        AWS_ACCESS_KEY_ID: CREDENTIALS.accessKeyId,
        AWS_SECRET_ACCESS_KEY: CREDENTIALS.secretAccessKey,
      },
      clear: () => clear(env.BUCKET),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

const workerSource = "export default { fetch: () => new Response('the bucket is elsewhere') };\n";

const config = {
  name: "local-r2",
  main: "./worker.js",
  compatibility_date: "2026-10-01",
  r2_buckets: [
    {
      binding: "BUCKET",
      bucket_name: BUCKET,
      local_dev: { experimental_s3_credentials: CREDENTIALS },
    },
  ],
};

async function clear(bucket: R2Bucket): Promise<void> {
  // Each pass deletes what it listed, so the bucket's size bounds the loop.
  for (;;) {
    const { objects } = await bucket.list({ limit: 1000 });
    if (objects.length === 0) return;
    await bucket.delete(objects.map(({ key }) => key));
  }
}
