/** Uploads that begin while their file is being staged, against the local R2 behind a proxy. */
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { EarlyUpload } from "../../../replicator/sync/early-upload.ts";
import { Lease } from "../../../replicator/sync/lease.ts";
import { Shipping } from "../../../replicator/sync/ship-file.ts";
import { Staging } from "../../../replicator/sync/staging.ts";
import { encodeLtx } from "../../../shared/ltx/encoder.ts";
import { formatLtxKey, type Replica } from "../../../shared/replica/ltx-key.ts";
import { useFaultyR2 } from "../../support/faulty-r2.ts";
import { ltxHeader } from "../../support/ltx-fixtures.ts";
import { replicaIn, txid } from "../../support/replica-fixtures.ts";

const MIB = 1024 * 1024;
const PAGES = (16 * MIB) / 4096;
/** The store has two parts then, without which it sends none. */
const AMID_BYTES = 12 * MIB;
const FIRST = txid(1);
const never = new AbortController().signal;
const faulty = useFaultyR2();

let folder: string;
let replica: Replica;
let staging: Staging;
let early: EarlyUpload;
let shipping: Shipping;
let isNext: boolean;
/** Resolves when the store has answered the first part. */
let partSent: PromiseWithResolvers<void>;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "eddy-early-"));
  partSent = Promise.withResolvers();
  isNext = true;
  const store = faulty.openStore({
    partBytes: 5 * MIB,
    singlePutBytesMax: 5 * MIB,
    fetch: async (url, init) => {
      const answer = await fetch(url, init);
      if (url.includes("partNumber=1&")) partSent.resolve();
      return answer;
    },
  });
  replica = replicaIn(store);
  staging = await Staging.open(join(folder, "app.db"));
  early = new EarlyUpload({ replica, isNext: () => isNext, bytesMin: 5 * MIB });
  staging.follow(early);
  shipping = new Shipping({ replica, staging, lease: undefined, early });
});
afterEach(async () => {
  await early.close();
  rmSync(folder, { recursive: true, force: true });
});

/** An image that does not compress; before its last pieces `amid` is waited for. */
async function* image(amid: () => Promise<void> | void): AsyncGenerator<Uint8Array> {
  const noise = Uint8Array.from(randomBytes(16 * MIB));
  const pages = {
    *[Symbol.iterator]() {
      for (let i = 0; i < PAGES; i++) {
        yield { pgno: i + 1, data: noise.subarray(i * 4096, (i + 1) * 4096) };
      }
    },
  };
  let bytes = 0;
  for (const piece of encodeLtx(ltxHeader({ pageSize: 4096, commit: PAGES }), pages)) {
    if (bytes < AMID_BYTES && bytes + piece.length >= AMID_BYTES) await amid();
    bytes += piece.length;
    yield piece;
  }
}

/** Stages an image, by default with its upload begun before it is whole. */
async function stage(amid: () => Promise<void> | void = () => partSent.promise): Promise<void> {
  await staging.write(FIRST, image(amid), 20 * MIB);
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Says whether a request brings the part of that number. */
function isPart(number: number): (request: { readonly target: string }) => boolean {
  return ({ target }) => target.includes(`partNumber=${number}&`);
}

function keyOf(): string {
  return formatLtxKey(replica, { level: 0, minTxid: FIRST, maxTxid: FIRST });
}

async function expectNothingStored(): Promise<void> {
  expect(await faulty.r2.binding.head(keyOf())).toBeNull();
}

async function expectStored(): Promise<void> {
  const stored = await replica.store.get(keyOf());
  expect(digest(stored!.bytes)).toBe(digest(readFileSync(staging.pathOf(FIRST))));
  expect(stored?.metadata).toEqual({
    "litestream-timestamp": expect.stringContaining("Z") as string,
  });
}

function begun(): number {
  return faulty.requestsSeen().filter((seen) => seen.endsWith("?uploads=")).length;
}

/** The local R2 has no list of uploads, but it refuses a part of one that is gone. */
async function expectUploadGone(): Promise<void> {
  await early.close();
  await expectUploadGiven();
}

/** As `expectUploadGone`, by itself: waits for the request that gives it up. */
async function expectUploadGiven(): Promise<void> {
  await expect
    .poll(() => faulty.requestsSeen().some((seen) => /^DELETE .*uploadId/.test(seen)))
    .toBe(true);
  const target = faulty.proxy.requests.find((request) => request.target.includes("uploadId"))!;
  const id = decodeURIComponent(/uploadId=([^&]+)/.exec(target.target)?.[1] ?? "");
  const upload = faulty.r2.binding.resumeMultipartUpload(keyOf(), id);
  await expect(upload.uploadPart(1, "x")).rejects.toThrow(/does not exist/);
}

describe("the upload of a file that is being staged", () => {
  it("sends each part once, and is known to nobody before the file is shipped", async () => {
    await stage(async () => {
      await partSent.promise;
      await expectNothingStored();
    });
    await expectNothingStored();
    const { length } = readFileSync(staging.pathOf(FIRST));
    expect(await shipping.ship(FIRST, never)).toEqual({ sizeBytes: length });
    await expectStored();
    expect(begun()).toBe(1);
    const parts = faulty.proxy.requests.filter(({ method }) => method === "PUT");
    expect(parts).toHaveLength(Math.ceil(length / (5 * MIB)));
  });

  it("does not begin while an earlier file waits to be uploaded", async () => {
    isNext = false;
    await stage(() => undefined);
    expect(faulty.proxy.requests).toEqual([]);
    await shipping.ship(FIRST, never);
    await expectStored();
  });

  it("does not begin for a file that goes up in one piece", async () => {
    const body = async function* () {
      yield randomBytes(MIB);
    };
    await staging.write(FIRST, body(), 20 * MIB);
    expect(faulty.proxy.requests).toEqual([]);
  });

  it("leaves nothing when the source breaks amid, and the next attempt is uploaded", async () => {
    const breaking = async () => {
      await partSent.promise;
      throw new Error("the log was begun anew");
    };
    await expect(stage(breaking)).rejects.toThrow("the log was begun anew");
    await expectUploadGone();
    await expectNothingStored();
    partSent = Promise.withResolvers();
    await stage();
    await shipping.ship(FIRST, never);
    await expectStored();
    expect(begun()).toBe(2);
  });

  it("leaves nothing when the staging directory is removed amid", async () => {
    const removed = stage(async () => {
      await partSent.promise;
      rmSync(staging.folder, { recursive: true });
    });
    await expect(removed).rejects.toMatchObject({ code: "ENOENT" });
    await expectUploadGone();
    await expectNothingStored();
  });

  it("is not ended for a file that was removed when it was staged", async () => {
    await stage();
    rmSync(staging.folder, { recursive: true });
    expect(await shipping.ship(FIRST, never)).toMatchObject({
      diverged: expect.stringContaining("removed") as string,
    });
    shipping.drop();
    await expectUploadGone();
    await expectNothingStored();
  });

  it("is given up when the store's position is adopted, and another file takes its TXID", async () => {
    await stage();
    shipping.drop();
    await expectUploadGone();
    await expectNothingStored();
    await staging.clear();
    partSent = Promise.withResolvers();
    await stage();
    await shipping.ship(FIRST, never);
    await expectStored();
  });

  it("is made good for by an ordinary one when the store fails amid", async () => {
    faulty.proxy.fail({ status: 403, when: isPart(1) });
    await stage();
    const { sizeBytes } = (await shipping.ship(FIRST, never)) as { sizeBytes: number };
    expect(sizeBytes).toBeGreaterThan(16 * MIB);
    await expectStored();
    expect(begun()).toBe(2);
  });

  it("never replaces another's file", async () => {
    await stage();
    await faulty.r2.binding.put(keyOf(), "another's");
    await expect(shipping.ship(FIRST, never)).rejects.toMatchObject({ code: "WRITER_CONFLICT" });
    expect(await faulty.stored(keyOf())).toBe("another's");
    await expectUploadGone();
  });

  it("leaves nothing when it is given up while it is shipped", async () => {
    faulty.proxy.fail({ hang: true, when: isPart(3) });
    await stage();
    const stop = new AbortController();
    const shipped = shipping.ship(FIRST, stop.signal);
    stop.abort();
    await expect(shipped).rejects.toMatchObject({ code: "ABORTED" });
    await expectUploadGone();
    await expectNothingStored();
  });

  it("ends under the lease only", async () => {
    const lease = await Lease.look({ replica, recordPath: staging.leaseRecordPath, now: Date.now });
    const leased = new Shipping({ replica, staging, lease, early });
    await lease.hold(never);
    await stage();
    const { store } = replica;
    const other = JSON.stringify({ generation: 9, expires_at: "2999-01-01T00:00:00Z", owner: "x" });
    await store.put("db/lock.json", new TextEncoder().encode(other));
    await expect(leased.ship(FIRST, never)).rejects.toMatchObject({ code: "WRITER_CONFLICT" });
    await expectUploadGone();
    await expectNothingStored();
  });

  it("is given up when the lease cannot be had, so that it keeps no place that others wait for", async () => {
    const lease = await Lease.look({ replica, recordPath: staging.leaseRecordPath, now: Date.now });
    const leased = new Shipping({ replica, staging, lease, early });
    await stage();
    faulty.proxy.fail({ status: 403, when: ({ target }) => target.includes("lock.json") });
    await expect(leased.ship(FIRST, never)).rejects.toMatchObject({ code: "STORE_DENIED" });
    await expectUploadGiven();
    await leased.ship(FIRST, never);
    await expectStored();
  });
});
