import { describe, expect, it } from "vitest";
import { encodeLtx } from "../../shared/ltx/encoder.ts";
import { HEADER_FLAG_NO_CHECKSUM } from "../../shared/ltx/header.ts";
import { toTxid } from "../../shared/ltx/txid.ts";
import { formatLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../shared/storage/memory-store.ts";
import { copyReplica } from "../../tools/copy-replica.ts";

const STAMP_MS = Date.UTC(2026, 10, 24, 10, 0, 0, 125);

function memoryReplica(layout: Replica["layout"]): Replica & { store: MemoryStore } {
  return { store: new MemoryStore({ now: () => 0 }), path: "app.db", layout };
}

async function putFile(replica: Replica, level: number, txid: bigint, metadata = {}) {
  const id = toTxid(txid);
  const pages = [{ pgno: 1, data: new Uint8Array(512).fill(Number(txid)) }];
  const header = {
    flags: HEADER_FLAG_NO_CHECKSUM,
    pageSize: 512,
    commit: 1,
    minTxid: id,
    maxTxid: id,
    timestampMs: STAMP_MS + Number(txid),
    preApplyChecksum: 0n,
    walOffset: 32,
    walSize: 536,
    walSalt1: 1,
    walSalt2: 2,
    nodeId: 0n,
  };
  const chunks = [...encodeLtx(header, pages)];
  const body = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.length;
  }
  await replica.store.put(formatLtxKey(replica, { level, minTxid: id, maxTxid: id }), body, {
    metadata,
  });
  return body;
}

describe("copyReplica", () => {
  it("puts a folder's files under S3's keys, bytes unchanged", async () => {
    const [source, target] = [memoryReplica("folder"), memoryReplica("s3")];
    const first = await putFile(source, 0, 1n);
    await putFile(source, 9, 1n);
    expect(await copyReplica(source, target)).toEqual({ files: 2, bytes: 2 * first.length });
    const name = "0000000000000001-0000000000000001.ltx";
    expect((await target.store.get(`app.db/0000/${name}`))?.bytes).toEqual(first);
    expect((await target.store.get(`app.db/0009/${name}`))?.bytes).toEqual(first);
  });

  it("keeps the stamp of the object, and takes the header's where the store has none", async () => {
    const [source, target] = [memoryReplica("s3"), memoryReplica("s3")];
    const stamp = "2020-02-02T02:02:02Z";
    await putFile(source, 0, 1n, { "litestream-timestamp": stamp });
    await putFile(source, 0, 2n);
    await copyReplica(source, target);
    const metadataOf = async (digit: number) =>
      (await target.store.get(`app.db/0000/000000000000000${digit}-000000000000000${digit}.ltx`))
        ?.metadata["litestream-timestamp"];
    expect(await metadataOf(1)).toBe(stamp);
    expect(await metadataOf(2)).toBe("2026-11-24T10:00:00.127Z");
  });

  it("says what to look for where there is no LTX file", async () => {
    await expect(copyReplica(memoryReplica("s3"), memoryReplica("s3"))).rejects.toMatchObject({
      code: "DB_NOT_FOUND",
      message: expect.stringContaining("check the path") as string,
    });
  });

  it("names Litestream 0.3 where there is nothing newer", async () => {
    const source = memoryReplica("s3");
    const key = `${source.path}/generations/0123456789abcdef/snapshots/00000000.snapshot.lz4`;
    await source.store.put(key, new Uint8Array(1));
    await expect(copyReplica(source, memoryReplica("s3"))).rejects.toMatchObject({
      code: "LEGACY_REPLICA",
      message: expect.stringContaining("upgrade Litestream to 0.5") as string,
    });
  });

  it("tells how far it is, up to the last byte", async () => {
    const source = memoryReplica("s3");
    for (const txid of [1n, 2n, 3n]) await putFile(source, 0, txid);
    const done: number[] = [];
    const { bytes } = await copyReplica(source, memoryReplica("folder"), {
      onProgress: ({ doneBytes, totalBytes }) => {
        expect(totalBytes).toBeGreaterThanOrEqual(doneBytes);
        done.push(doneBytes);
      },
    });
    expect(done).toHaveLength(3);
    expect(done.at(-1)).toBe(bytes);
  });
});
