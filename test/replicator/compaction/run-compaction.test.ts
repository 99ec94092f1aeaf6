import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runCompaction } from "../../../replicator/compaction/run-compaction.ts";
import { decodeLtx } from "../../../shared/ltx/decoder.ts";
import {
  listLtxFiles,
  OLDEST_METADATA,
  TIMESTAMP_METADATA,
  type LtxFileInfo,
} from "../../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { historyOf } from "../../support/page-history.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const history = historyOf([
  { commit: 20 },
  { commit: 25, changed: [1, 3] },
  { commit: 25, changed: [1, 3, 7] },
  { commit: 12, changed: [1, 7] },
  { commit: 14, changed: [2] },
]);

let folder: string;
let store: CountingStore;
let replica: Replica;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "eddy-compaction-"));
  store = countingStore(new MemoryStore({ now: () => 0 }));
  replica = replicaIn(store);
  for (let txid = 1; txid <= history.head; txid++) await history.put(replica, 0, txid);
});
afterEach(() => rmSync(folder, { recursive: true }));

async function filesOf(level: number): Promise<LtxFileInfo[]> {
  return await Array.fromAsync(listLtxFiles(replica, { level, withTimestamps: true }));
}

async function bytesOf(key: string): Promise<Uint8Array> {
  return (await store.get(key))!.bytes;
}

describe("runCompaction", () => {
  it("puts one file of the newest version of each page into the level above", async () => {
    const { key } = await runCompaction({ replica, level: 1, files: await filesOf(0), folder });
    expect(key).toBe("db/0001/0000000000000001-0000000000000005.ltx");
    const { header, pages } = decodeLtx(await bytesOf(key));
    expect(header).toMatchObject({ minTxid: 1n, maxTxid: 5n, commit: 14, timestampMs: 5_000 });
    expect(pages.map(({ pgno }) => pgno)).toEqual(Array.from({ length: 14 }, (_, i) => i + 1));
    for (const { pgno, data } of pages) expect(data).toEqual(history.page(5, pgno));
  });

  it("keeps the time: the newest source's stamp, and beside it the oldest's", async () => {
    const sources = (await filesOf(0)).slice(1);
    const first = await runCompaction({ replica, level: 1, files: sources.slice(0, 2), folder });
    await runCompaction({ replica, level: 1, files: sources.slice(2), folder });
    const { metadata } = (await store.get(first.key))!;
    expect(metadata).toEqual({
      [TIMESTAMP_METADATA]: "1970-01-01T00:00:03.000Z",
      [OLDEST_METADATA]: "1970-01-01T00:00:02.000Z",
    });
    // S3's listings show no metadata.
    const files = (await filesOf(1)).map((file) => {
      const bare: { oldestAtMs?: number } & LtxFileInfo = { ...file };
      delete (bare as { oldestAtMs?: number }).oldestAtMs;
      return bare;
    });
    const above = await runCompaction({ replica, level: 2, files, folder });
    expect((await filesOf(2))[0]).toMatchObject({ createdAtMs: 5_000, oldestAtMs: 2_000 });
    expect(above).toMatchObject({ minTxid: 2n, maxTxid: 5n });
  });

  it("reads the copies on this machine, and the store only for what they lack", async () => {
    const files = await filesOf(0);
    const pathOf = ({ minTxid }: LtxFileInfo) => join(folder, `${minTxid}.ltx`);
    for (const file of files.slice(1)) writeFileSync(pathOf(file), await bytesOf(file.key));
    store.reset();
    const local = await runCompaction({ replica, level: 1, files, folder, localPath: pathOf });
    // The first has no copy; and the last bytes of what was stored.
    expect(store).toMatchObject({ lists: 0, gets: 2, puts: 1 });
    const stored = await bytesOf(local.key);
    await store.delete([local.key]);
    const remote = await runCompaction({ replica, level: 1, files, folder });
    expect(await bytesOf(remote.key)).toEqual(stored);
  });

  it("goes by the store where a copy on this machine is damaged", async () => {
    const files = await filesOf(0);
    const pathOf = ({ minTxid }: LtxFileInfo) => join(folder, `${minTxid}.ltx`);
    for (const file of files) writeFileSync(pathOf(file), await bytesOf(file.key));
    const damaged = await bytesOf(files[1].key);
    writeFileSync(pathOf(files[1]), damaged.fill(7, 150, 160));
    const { key } = await runCompaction({ replica, level: 1, files, folder, localPath: pathOf });
    const { pages } = decodeLtx(await bytesOf(key));
    for (const { pgno, data } of pages) expect(data).toEqual(history.page(5, pgno));
  });

  it("leaves no file behind, whatever happens", async () => {
    const files = await filesOf(0);
    await runCompaction({ replica, level: 1, files, folder });
    expect(readdirSync(folder)).toEqual([]);
    await store.delete([files[2].key]);
    await expect(runCompaction({ replica, level: 2, files, folder })).rejects.toMatchObject({
      code: "OBJECT_MISSING",
    });
    expect(readdirSync(folder)).toEqual([]);
  });

  it("refuses a damaged source, and stores nothing", async () => {
    const files = await filesOf(0);
    const bytes = await bytesOf(files[3].key);
    bytes[bytes.length - 1] ^= 1;
    await store.put(files[3].key, bytes);
    await expect(
      runCompaction({ replica, level: 1, files: await filesOf(0), folder }),
    ).rejects.toMatchObject({ code: "CORRUPT_PAGE" });
    expect(await filesOf(1)).toEqual([]);
  });

  it("takes its own file for done that an earlier run has put there", async () => {
    const options = { replica, level: 1, files: await filesOf(0), folder };
    const { key } = await runCompaction(options);
    expect(await runCompaction(options)).toMatchObject({ key });
  });

  it("refuses to replace another file under the same key", async () => {
    const options = { replica, level: 1, files: await filesOf(0), folder };
    const { key } = await runCompaction(options);
    const other = await bytesOf(key);
    other[other.length - 1] ^= 1;
    await store.put(key, other);
    await expect(runCompaction(options)).rejects.toMatchObject({ code: "STORE_CONFLICT" });
    expect(await bytesOf(key)).toEqual(other);
  });

  it("ends when its signal fires", async () => {
    const files = await filesOf(0);
    const signal = AbortSignal.abort();
    await expect(runCompaction({ replica, level: 1, files, folder, signal })).rejects.toMatchObject(
      { code: "ABORTED" },
    );
    expect(await filesOf(1)).toEqual([]);
  });
});
