import { afterAll, beforeAll } from "vitest";
import { S3Store, type S3StoreOptions } from "../../../shared/storage/s3-store.ts";
import { md5 } from "../../support/faulty-r2.ts";
import { startLocalR2, type LocalR2 } from "../../support/local-r2.ts";
import { describeObjectStore } from "../../support/object-store-contract.ts";
import type { ContractOptions } from "../../support/object-store-contract/context.ts";

let r2: LocalR2;
beforeAll(async () => {
  r2 = await startLocalR2();
});
afterAll(() => r2.close());

function contract(
  options: Partial<S3StoreOptions>,
  sizes: Pick<ContractOptions, "manyObjects" | "largeBytes">,
): ContractOptions {
  return {
    open: async ({ pageSize }) => {
      await r2.clear();
      const { endpoint, bucket, region, accessKeyId, secretAccessKey } = r2;
      return new S3Store({
        endpoint,
        bucket,
        region,
        accessKeyId,
        secretAccessKey,
        fetch: (url, init) => fetch(url, init),
        now: Date.now,
        random: Math.random,
        ...options,
        ...(pageSize !== undefined && { pageSize }),
      });
    },
    oddKeys: [
      "'()*!",
      "a b+c=d&e?f#g",
      "日本/😀",
      "%2F%",
      "double//slash",
      "back\\slash",
      "a\u0001b",
      " spaces ",
      "<&>\"'",
      "~-_.:@$,;[]{}|^`",
      "dots/...",
    ],
    metadata: { "litestream-timestamp": "2025-01-01T00:00:00.123Z", other: "two words" },
    listsMetadata: false,
    ...sizes,
    cancelsInFlight: true,
  };
}

// Parts of 5 MiB and a condition that must be met by parts, as for bodies above 64 MiB.
const parts = { partBytes: 5 * 1024 * 1024, singlePutBytesMax: 1_000_000 };

describeObjectStore(
  "the S3 API, bodies protected by MD5",
  contract({ md5, ...parts }, { manyObjects: 1_100, largeBytes: 12_345_678 }),
);
describeObjectStore(
  "the S3 API, bodies signed",
  contract({ signPayload: true }, { manyObjects: 20, largeBytes: 3_000_000 }),
);
