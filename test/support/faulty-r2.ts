/** The local R2 behind a proxy that fails as it is told to, and an S3 store on it. */
import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll } from "vitest";
import { S3Store, type S3StoreOptions } from "../../shared/storage/s3-store.ts";
import { startFaultyProxy, type FaultyProxy } from "./faulty-proxy.ts";
import { startLocalR2, type LocalR2 } from "./local-r2.ts";

export interface FaultyR2 {
  readonly r2: LocalR2;
  readonly proxy: FaultyProxy;
  /** What the store under test would have slept, in milliseconds. */
  readonly waitsMs: readonly number[];
  /** A store whose waits take no time and whose chance is always 0. */
  openStore(options?: Partial<S3StoreOptions>): S3Store;
  /** The requests that arrived: method, and what of the target comes after the bucket. */
  requestsSeen(): string[];
  /** What the bucket holds under `key`, as text. */
  stored(key: string): Promise<string | undefined>;
}

/** Starts one for the test file that calls it, emptied after each test. */
export function useFaultyR2(): FaultyR2 {
  let r2: LocalR2;
  let proxy: FaultyProxy;
  const waitsMs: number[] = [];
  beforeAll(async () => {
    r2 = await startLocalR2();
    proxy = await startFaultyProxy(r2.endpoint);
  });
  afterAll(async () => {
    await proxy.close();
    await r2.close();
  });
  afterEach(async () => {
    proxy.reset();
    waitsMs.length = 0;
    await r2.clear();
  });
  return {
    get r2() {
      return r2;
    },
    get proxy() {
      return proxy;
    },
    waitsMs,
    openStore: (options = {}) =>
      new S3Store({
        endpoint: proxy.url,
        bucket: r2.bucket,
        region: r2.region,
        accessKeyId: r2.accessKeyId,
        secretAccessKey: r2.secretAccessKey,
        fetch: (url, init) => fetch(url, init),
        now: Date.now,
        random: () => 0,
        sleep: async (ms) => void waitsMs.push(ms),
        md5,
        ...options,
      }),
    requestsSeen: () =>
      proxy.requests.map(
        ({ method, target }) => `${method} ${target.replace(/^.*?\/test-bucket\/?/, "")}`,
      ),
    stored: async (key) => (await r2.binding.get(key))?.text(),
  };
}

export function md5(bytes: Uint8Array): Uint8Array {
  return createHash("md5").update(bytes).digest();
}

/** Bytes that repeat only after 251, so that a piece in the wrong place is seen. */
export function patternBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index % 251);
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
