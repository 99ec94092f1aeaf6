import { env } from "cloudflare:workers";
import { R2Store } from "../../worker/storage/r2-store.ts";
import { describeObjectStore } from "../support/object-store-contract.ts";

async function emptyBucket(): Promise<R2Bucket> {
  // Bounded by the bucket: each pass deletes what it listed.
  for (;;) {
    const { objects } = await env.BUCKET.list();
    if (objects.length === 0) return env.BUCKET;
    await env.BUCKET.delete(objects.map(({ key }) => key));
  }
}

describeObjectStore("an R2 binding", {
  open: async (options) => new R2Store(await emptyBucket(), options),
  oddKeys: ["'()*!", "a b+c=d&e?f#g", "日本/😀", "%2F%", "double//slash", "./0000/x", "<&>\"'"],
  metadata: { "litestream-timestamp": "2025-01-01T00:00:00.123Z", other: "two words" },
  listsMetadata: true,
  largeBytes: 20_000_001,
  manyObjects: 1_100,
  cancelsInFlight: false,
});
