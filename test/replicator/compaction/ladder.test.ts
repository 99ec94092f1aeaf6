import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Ladder, type LadderOptions } from "../../../replicator/compaction/ladder.ts";
import { decodeLtx } from "../../../shared/ltx/decoder.ts";
import { listLtxFiles } from "../../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { countingStore, type CountingStore } from "../../support/counting-store.ts";
import { PageHistory } from "../../support/page-history.ts";
import { nameOf, replicaIn, txid } from "../../support/replica-fixtures.ts";

let folder: string;
let memory: MemoryStore;
let store: CountingStore;
let replica: Replica;
let history: PageHistory;
let clockMs: number;
let said: string[];
let ladder: Ladder;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-ladder-"));
  memory = new MemoryStore({ now: () => clockMs });
  store = countingStore(memory);
  replica = replicaIn(store);
  history = new PageHistory();
  clockMs = 1_000_000;
  said = [];
  ladder = build();
});
afterEach(() => rmSync(folder, { recursive: true }));

function build(localPath?: LadderOptions["localPath"]): Ladder {
  return new Ladder({
    replica,
    folder,
    localPath,
    intervalsMs: [30_000, 300_000],
    now: () => clockMs,
    onCompacted: ({ level, minTxid, maxTxid }, files) =>
      said.push(`${files} files to L${level}[${minTxid}-${maxTxid}]`),
    onFailed: (level, { code }) => said.push(`level ${level}: ${code}`),
    onGap: (level, { after, before }) => said.push(`level ${level}: gap ${after}..${before}`),
  });
}

/** Commits and uploads so many transactions. */
async function commit(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const number = history.commit({ commit: 10 + (history.head % 7), changed: [1, 2, 3] });
    await history.put(replica, 0, number);
  }
  ladder.uploaded(txid(history.head));
}

async function level(number: number): Promise<string[]> {
  const files = await Array.fromAsync(listLtxFiles(replicaIn(memory), { level: number }));
  return files.map(nameOf);
}

describe("the ladder of levels", () => {
  it("writes level 1 every interval from what is new, and never the whole database", async () => {
    await commit(4);
    await ladder.runDue();
    expect(await level(1)).toEqual([]);
    clockMs += 30_000;
    await ladder.runDue();
    expect(await level(1)).toEqual(["L1[2-4]"]);
    await commit(3);
    await ladder.runDue();
    clockMs += 30_000;
    await ladder.runDue();
    expect(await level(1)).toEqual(["L1[2-4]", "L1[5-7]"]);
  });

  it("asks the store again what is there when it is told that it may be another history", async () => {
    await commit(4);
    clockMs += 30_000;
    await ladder.runDue();
    const [file] = await Array.fromAsync(listLtxFiles(replicaIn(memory), { level: 1 }));
    await memory.delete([file.key]);
    await commit(1);
    ladder.forget();
    clockMs += 30_000;
    await ladder.runDue();
    expect(await level(1)).toEqual(["L1[2-5]"]);
  });

  it("tells what this machine cannot write, and tries again when its time comes", async () => {
    await commit(4);
    clockMs += 30_000;
    rmSync(folder, { recursive: true });
    writeFileSync(folder, "in the way of the folder");
    await ladder.runDue();
    expect(said).toEqual(["level 1: LOCAL_FILE"]);
    rmSync(folder);
    clockMs += 30_000;
    await ladder.runDue();
    expect(await level(1)).toEqual(["L1[2-4]"]);
  });

  it("takes no copy for a file that it was not told is uploaded", async () => {
    const asked: bigint[] = [];
    ladder = build((file) => {
      asked.push(file.maxTxid);
      return undefined;
    });
    await commit(4);
    // Another's, as a process leaves it that has lost the lease.
    const number = history.commit({ commit: 10, changed: [1] });
    await history.put(replica, 0, number);
    clockMs += 30_000;
    await ladder.runDue();
    expect(asked).toEqual([2n, 3n, 4n]);
  });

  it("writes each level from the one below, and what it writes is the database", async () => {
    for (let round = 0; round < 12; round++) {
      await commit(2);
      clockMs += 30_000;
      await ladder.runDue();
    }
    clockMs += 300_000;
    await ladder.runDue();
    expect(await level(2)).toHaveLength(2);
    const last = `db/0002/${(await keysOf(2)).at(-1)}`;
    const { header, pages } = decodeLtx((await memory.get(last))!.bytes);
    expect(header.maxTxid).toBe(BigInt(history.head));
    for (const { pgno, data } of pages) expect(data).toEqual(history.page(history.head, pgno));
    expect(said.filter((line) => !line.includes("files to"))).toEqual([]);
  });

  it("asks nothing of the store while nothing is new", async () => {
    await commit(3);
    clockMs += 300_000;
    await ladder.runDue();
    store.reset();
    for (let round = 0; round < 20; round++) {
      clockMs += 300_000;
      await ladder.runDue();
    }
    expect(store).toMatchObject({ lists: 0, gets: 0, puts: 0 });
  });

  it("asks nothing of the store for a database that was only shipped whole", async () => {
    await commit(1);
    clockMs += 300_000;
    await ladder.runDue();
    store.reset();
    clockMs += 300_000;
    await ladder.runDue();
    expect(store).toMatchObject({ lists: 0, gets: 0 });
  });

  it("writes level 1 early when 64 files wait", async () => {
    await commit(2);
    clockMs += 30_000;
    await ladder.runDue();
    await commit(63);
    await ladder.runDue();
    expect(await level(1)).toHaveLength(1);
    await commit(1);
    await ladder.runDue();
    expect(await level(1)).toEqual(["L1[2]", "L1[3-66]"]);
  });

  it("goes on after a restart where the levels end", async () => {
    await commit(5);
    clockMs += 300_000;
    await ladder.runDue();
    ladder = build();
    await commit(5);
    clockMs += 300_000;
    await ladder.runDue();
    expect(await level(1)).toEqual(["L1[2-5]", "L1[6-10]"]);
    expect(await level(2)).toEqual(["L2[2-5]", "L2[6-10]"]);
  });

  it("says that there is a gap, and does not hide it", async () => {
    await commit(3);
    clockMs += 30_000;
    await ladder.runDue();
    await commit(4);
    await memory.delete([`db/0000/${"0".repeat(15)}4-${"0".repeat(15)}4.ltx`]);
    clockMs += 30_000;
    await ladder.runDue();
    expect(said).toEqual(["2 files to L1[2-3]", "level 1: gap 3..5"]);
    // A snapshot covers it.
    await history.put(replica, 9, 1, 7);
    await commit(1);
    clockMs += 30_000;
    await ladder.runDue();
    expect(await level(1)).toEqual(["L1[2-3]", "L1[5-8]"]);
  });

  it("says when a source is damaged, and tries again at its next time", async () => {
    await commit(3);
    const key = `db/0000/${"0".repeat(15)}2-${"0".repeat(15)}2.ltx`;
    const { bytes } = (await memory.get(key))!;
    await memory.put(key, Uint8Array.from(bytes).fill(1, 200, 220));
    clockMs += 30_000;
    await ladder.runDue();
    expect(said).toEqual(["level 1: CORRUPT_PAGE"]);
    await memory.put(key, bytes);
    await ladder.runDue();
    expect(said).toHaveLength(1);
    clockMs += 30_000;
    await ladder.runDue();
    expect(await level(1)).toEqual(["L1[2-3]"]);
  });

  it("takes over the levels of a Litestream, which begin at TXID 1", async () => {
    await commit(6);
    await history.put(replica, 1, 1, 4);
    clockMs += 30_000;
    await ladder.runDue();
    expect(await level(1)).toEqual(["L1[1-4]", "L1[5-6]"]);
  });

  it("does not try without a pause when 64 files wait and cannot be merged", async () => {
    await commit(2);
    clockMs += 30_000;
    await ladder.runDue();
    await commit(70);
    await memory.delete([`db/0000/${"0".repeat(15)}3-${"0".repeat(15)}3.ltx`]);
    expect(ladder.dueMs).toBeLessThanOrEqual(clockMs);
    await ladder.runDue();
    expect(said.at(-1)).toBe("level 1: gap 2..4");
    expect(ladder.dueMs).toBeGreaterThan(clockMs);
    await commit(1);
    expect(ladder.dueMs).toBeGreaterThan(clockMs);
    // A snapshot covers it now.
    await history.put(replica, 9, 1, 3);
    ladder.retry();
    await ladder.runDue();
    expect(await level(1)).toEqual(["L1[2]", "L1[4-73]"]);
  });
});

async function keysOf(number: number): Promise<string[]> {
  const files = await Array.fromAsync(listLtxFiles(replicaIn(memory), { level: number }));
  return files.map(({ key }) => key.split("/").at(-1) ?? "");
}
