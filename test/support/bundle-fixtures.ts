/** Replicas of real databases for the tests of the edge bundle. */
import { storeSink } from "../../shared/replica/edge-bundle/bundle-sink.ts";
import { LocationCache } from "../../shared/replica/edge-bundle/location-cache.ts";
import {
  readBundleHead,
  type BundleHead,
} from "../../shared/replica/edge-bundle/read-bundle-head.ts";
import { updateBundle, type BundleReport } from "../../shared/replica/edge-bundle/update-bundle.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { FoundPage, PageLocation, PageLocator } from "../../shared/replica/page-locator.ts";
import { MemoryStore } from "../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../shared/storage/object-store.ts";
import { expect } from "vitest";
import { pageChecksum32 } from "../../shared/ltx/checksum.ts";
import { decodePageFrame } from "../../shared/ltx/page-frame.ts";
import { makeDatabaseImages, type DatabaseScript } from "./database-images.ts";
import { imageAt, type Images } from "./ltx-from-images.ts";
import { putSpans, type FileSpan } from "./ltx-spans.ts";
import { replicaIn } from "./replica-fixtures.ts";

/** A table with an index, of so many rows; SQL for one transaction. */
export function rowsSql(table: string, rows: number, bytes = 60): string {
  return `CREATE TABLE ${table} (id INTEGER PRIMARY KEY, k TEXT, v TEXT);
    WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${rows})
      INSERT INTO ${table} SELECT i, 'k' || (i * 7919 % ${rows}), printf('%0${bytes}d', i * 31) FROM c;
    CREATE INDEX ${table}_k ON ${table} (k);`;
}

export interface BundledReplica {
  readonly replica: Replica;
  readonly images: Images;
  readonly report: BundleReport;
}

/** A replica of what `script` makes, one file of level 0 a transaction if nothing is said, and its bundle. */
export async function bundledReplica(
  script: DatabaseScript,
  {
    spans = script.transactions.map((_, index): FileSpan => [0, index + 1, index + 1]),
    store = new MemoryStore(),
    hotBytesMax,
  }: {
    readonly spans?: readonly FileSpan[];
    readonly store?: ObjectStore;
    readonly hotBytesMax?: number;
  } = {},
): Promise<BundledReplica> {
  const images = makeDatabaseImages(script);
  const replica = replicaIn(store);
  await putSpans(replica, images, spans);
  const report = await updateBundle(replica, storeSink(replica), { hotBytesMax });
  return { replica, images, report };
}

/** The bundle of a replica; a test that asks for it expects that there is one. */
export async function openBundle(
  replica: Replica,
  cache = new LocationCache({ bytesMax: 1024 * 1024 }),
): Promise<BundleHead> {
  const reading = await readBundleHead(replica, { cache });
  if (!reading.head) throw new Error(reading.reason);
  return reading.head;
}

/** Where a locator says that a page lies, with what it reads for it. */
export async function locate(
  locator: PageLocator,
  pgno: number,
  replica: Replica,
): Promise<PageLocation | null> {
  return locator.get(pgno) ?? (await locator.find(pgno, { replica })).location;
}

const decoded = new WeakMap<Images, Map<number, Uint8Array>>();

/** The database after a transaction, decoded once. */
function imageOf(images: Images, at: number): Uint8Array {
  const known = decoded.get(images) ?? new Map<number, Uint8Array>();
  const image = known.get(at) ?? imageAt(images, at);
  known.set(at, image);
  decoded.set(images, known);
  return image;
}

/**
 * Reads every page from where the bundle says that it lies, and holds it, its checksum, and what came
 * along with its place against the database after transaction `at`.
 */
export async function expectBundleTruth(
  replica: Replica,
  images: Images,
  at: number,
): Promise<void> {
  const { locator, plan, txid: described, commit } = await openBundle(replica);
  expect(described).toBe(BigInt(at));
  const image = imageOf(images, at);
  const { pageSize } = images;
  expect(commit).toBe(image.length / pageSize);
  for (let pgno = 1; pgno <= commit; pgno++) {
    const known = locator.get(pgno);
    const found: FoundPage =
      known === undefined ? await locator.find(pgno, { replica }) : { location: known };
    const { location, page: along } = found;
    if (!location) throw new Error(`page ${pgno} is nowhere`);
    const { key, etag } = plan.files[location.file];
    const range = { offset: location.offset, length: location.size };
    const stored = await replica.store.get(key, { range, ifMatch: etag });
    const { page } = decodePageFrame(stored!.bytes, pageSize);
    const expected = image.subarray((pgno - 1) * pageSize, pgno * pageSize);
    const isEqual =
      Buffer.from(page).equals(expected) && (!along || Buffer.from(along).equals(expected));
    const isVerified = location.checksum === pageChecksum32(pgno, page);
    expect({ pgno, isEqual, isVerified }).toEqual({ pgno, isEqual: true, isVerified: true });
  }
}
