import { describe, expect, it } from "vitest";
import { Crc64 } from "../../../shared/ltx/checksum.ts";
import { decodeHead, encodeHead } from "../../../shared/replica/edge-bundle/head-format.ts";
import { storeSink } from "../../../shared/replica/edge-bundle/bundle-sink.ts";
import { readBundleHead } from "../../../shared/replica/edge-bundle/read-bundle-head.ts";
import { LocationCache } from "../../../shared/replica/edge-bundle/location-cache.ts";
import { updateBundle } from "../../../shared/replica/edge-bundle/update-bundle.ts";
import { openSnapshot } from "../../../shared/replica/snapshot.ts";
import { streamDatabase } from "../../../shared/replica/page-stream.ts";
import { childPgnos } from "../../../shared/sqlite/btree-page.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import golden from "../../golden/edge-bundle.json" with { type: "json" };
import { readBase, readHead, readPart, readRecord } from "../../support/bundle-by-the-book.ts";
import { locate, openBundle } from "../../support/bundle-fixtures.ts";
import { concatBytes } from "../../support/ltx-fixtures.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const objects = new Map(
  Object.entries(golden.objects).map(([key, base64]) => [key, Buffer.from(base64, "base64")]),
);
const HEAD_KEY = "db/eddy/head";
const BASE_KEY = `db/eddy/base-${golden.base.txid}-${golden.base.id}`;
const pages = golden.pages.map(([file, offset, size, checksum]) => ({
  file,
  offset,
  size,
  checksum,
}));

/** The golden replica in a store whose ETags are those of the bundle: the files of the table first, in order. */
async function goldenReplica() {
  const replica = replicaIn(new MemoryStore());
  const first = golden.files.map(({ key }) => key);
  const keys = [...first, ...[...objects.keys()].filter((key) => !first.includes(key))];
  for (const key of keys) await replica.store.put(key, objects.get(key)!);
  return replica;
}

describe("the golden bundle of version 1", () => {
  it("says where every page lies", async () => {
    const replica = await goldenReplica();
    const { locator, plan, ...head } = await openBundle(replica);
    expect(head).toMatchObject({
      pageSize: golden.pageSize,
      commit: golden.commit,
      txid: BigInt(`0x${golden.txid}`),
      timestampMs: golden.timestampMs,
    });
    expect(plan.files.map(({ key, etag }) => ({ key, etag }))).toEqual(
      golden.files.map(({ key, etag }) => ({ key, etag })),
    );
    for (const [index, expected] of pages.entries()) {
      expect(await locate(locator, index + 1, replica)).toEqual(expected);
    }
  });

  it("is what the same replica is given today, but for how its pages are compressed", async () => {
    const replica = await goldenReplica();
    const { content } = await updateBundle(replica, storeSink(replica), {
      fromScratch: true,
      hotBytesMax: 1_100,
    });
    const { base, roots, hot, ...rest } = decodeHead(objects.get(HEAD_KEY)!).content!;
    expect(content).toMatchObject(rest);
    expect(content.base).toMatchObject({ id: base.id, partSizes: base.partSizes });
    expect(content.roots.map(({ location }) => location)).toEqual(
      roots.map(({ location }) => location),
    );
    expect(content.hot.map(({ pgno }) => pgno)).toEqual(hot.map(({ pgno }) => pgno));
    expect(content.hot.map(({ pgno }) => pgno)).toEqual(golden.hot);
  });

  it("is encoded to the same bytes that it was decoded from", () => {
    const head = objects.get(HEAD_KEY)!;
    expect(Buffer.from(encodeHead(decodeHead(head).content!)).equals(head)).toBe(true);
  });

  it("is passed over under another version, with a reason", async () => {
    const replica = await goldenReplica();
    const bytes = Buffer.from(objects.get(HEAD_KEY)!);
    const { content } = decodeHead(bytes);
    const newer = Buffer.from(encodeHead(content!));
    newer.writeUInt32BE(2, 8);
    newer.writeBigUInt64BE(new Crc64().update(newer.subarray(0, -8)).digest(), newer.length - 8);
    await replica.store.put(HEAD_KEY, newer);
    const cache = new LocationCache({ bytesMax: 64 * 1024 });
    expect(await readBundleHead(replica, { cache })).toEqual({
      reason: `"${HEAD_KEY}" cannot be used: it is of version 2, and 1 is known here`,
    });
  });
});

describe("docs/edge-bundle.md", () => {
  const head = readHead(objects.get(HEAD_KEY)!);
  const base = readBase(objects.get(BASE_KEY)!, head.base.mapOffset);

  it("tells how a head is read", () => {
    expect(head).toMatchObject({ magic: "EDDYHEAD", version: 1, isSound: true, isAtEnd: true });
    expect(head).toMatchObject({
      pageSize: golden.pageSize,
      commit: golden.commit,
      txid: BigInt(`0x${golden.txid}`),
      timestampMs: golden.timestampMs,
    });
    expect(head.files.map(({ etag }) => etag)).toEqual(golden.files.map(({ etag }) => etag));
    expect(head.files.map(({ fileChecksum }) => fileChecksum.toString(16))).toEqual(
      golden.files.map(({ fileChecksum }) => fileChecksum),
    );
    for (const [index, { key }] of golden.files.entries()) {
      expect(head.files[index].sizeBytes).toBe(objects.get(key)!.length);
      expect(head.files[index].fileChecksum).toBe(
        objects.get(key)!.readBigUInt64BE(objects.get(key)!.length - 8),
      );
    }
    expect(head.delta.map(({ pgno }) => pgno)).toEqual(golden.delta);
    expect(head.roots.map(({ pgno }) => pgno)).toEqual(golden.roots);
    for (const { pgno, location } of [...head.delta, ...head.roots]) {
      expect(location).toEqual(pages[pgno - 1]);
    }
  });

  it("tells how a base is read, and what its name is", () => {
    expect(base).toMatchObject({ magic: "EDDYBASE", version: 1, isSound: true });
    expect(base).toMatchObject({ pageSize: head.pageSize, txid: head.base.txid, id: head.base.id });
    expect(base.checksum).toBe(head.base.checksum);
    const newer = new Set(golden.delta);
    const locations = base.parts.flatMap((part) => readPart(part, head.base.commit));
    expect(locations).toHaveLength(head.base.commit);
    for (const [index, location] of locations.entries()) {
      if (!newer.has(index + 1)) expect(location).toEqual(pages[index]);
    }
    const id = Buffer.alloc(20);
    id.writeUInt32BE(1, 0);
    id.writeUInt32BE(head.pageSize, 4);
    id.writeUInt32BE(head.base.commit, 8);
    id.writeBigUInt64BE(head.base.txid, 12);
    const files = head.files.slice(0, head.base.fileCount).map((file) => {
      const fixed = Buffer.alloc(16);
      fixed.writeBigUInt64BE(file.minTxid, 0);
      fixed.writeBigUInt64BE(file.maxTxid, 8);
      const checksum = Buffer.alloc(8);
      checksum.writeBigUInt64BE(file.fileChecksum);
      return [Buffer.from([file.level]), fixed, uvarint(file.sizeBytes), checksum];
    });
    expect(new Crc64().update(concatBytes([id, ...files.flat()])).digest()).toBe(head.base.id);
  });

  it("tells how records are read, in the head and in the base", async () => {
    const replica = await goldenReplica();
    const snapshot = await openSnapshot(replica, { kind: "latest" });
    const image = concatBytes(await Array.fromAsync(streamDatabase(snapshot)));
    const childrenOf = (pgno: number) =>
      childPgnos(pgno, image.subarray((pgno - 1) * 512, pgno * 512))!;
    const newer = new Set(golden.delta);
    const places = new Map(base.records.map(({ pgno, offset, size }) => [pgno, { offset, size }]));
    const contents = [
      ...base.records.map(({ content }) => content),
      ...head.records.map(({ bytes }) => bytes),
    ];
    const kinds = new Set<number>();
    for (const content of contents) {
      const record = readRecord(content, (pgno) => childrenOf(pgno).length);
      expect(record).toMatchObject({ flags: 1, isAtEnd: true });
      kinds.add(record.kind);
      for (const [index, location] of record.children.entries()) {
        const child = childrenOf(record.pgno)[index];
        if (!newer.has(child)) expect(location).toEqual(pages[child - 1]);
        if (record.kind === 2) expect(record.places[index]).toEqual(places.get(child) ?? null);
      }
    }
    expect(kinds).toEqual(new Set([0, 1, 2]));
    for (const { pgno, more } of head.roots) {
      if (!newer.has(pgno)) expect(more).toEqual(places.get(pgno) ?? null);
    }
  });
});

function uvarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}
