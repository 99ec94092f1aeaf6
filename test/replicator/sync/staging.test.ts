import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { isSameFile } from "../../../replicator/sync/reconcile.ts";
import { Staging } from "../../../replicator/sync/staging.ts";
import { formatLtxKey } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { txid } from "../../support/replica-fixtures.ts";
import { createLiveDatabase } from "../../support/live-database.ts";

it("holds no TXID when somebody removes the directory, at whatever moment", async () => {
  using database = createLiveDatabase();
  const staging = await Staging.open(database.path);
  rmSync(staging.folder, { recursive: true });
  expect(await staging.txids()).toEqual([]);
});

it("does not hold the store's file any more when somebody removed it after it was listed", async () => {
  using database = createLiveDatabase();
  const staging = await Staging.open(database.path);
  const place = { path: "app", layout: "s3" } as const;
  const replica = { store: new MemoryStore(), ...place };
  const key = formatLtxKey(place, { level: 0, minTxid: txid(1), maxTxid: txid(1) });
  await replica.store.put(key, new Uint8Array(200));
  expect(await isSameFile(replica, staging, txid(1), undefined)).toBe(false);
});

it("keeps what a snapshot is writing there when what is staged is removed", async () => {
  using database = createLiveDatabase();
  const staging = await Staging.open(database.path);
  writeFileSync(staging.pathOf(txid(1)), "staged");
  writeFileSync(join(staging.workFolder, "snapshot.ltx.0123.tmp"), "being written");
  await staging.clear();
  expect(await staging.txids()).toEqual([]);
  expect(readdirSync(staging.workFolder)).toEqual(["snapshot.ltx.0123.tmp"]);
});

it("hands a small file over for its upload once, and never one that is not there any more", async () => {
  using database = createLiveDatabase();
  const staging = await Staging.open(database.path);
  const [one, two] = [Uint8Array.of(1), Uint8Array.of(2)];
  await staging.writeSmall(txid(1), one);
  expect(readFileSync(staging.pathOf(txid(1)))).toEqual(Buffer.from(one));
  expect(staging.takeRecent(txid(1))).toBe(one);
  expect(staging.takeRecent(txid(1))).toBeUndefined();
  await staging.writeSmall(txid(1), one);
  await staging.writeSmall(txid(2), two);
  expect(staging.takeRecent(txid(1))).toBeUndefined();
  for (const end of ["remove", "clear", "replace", "forget"] as const) {
    await staging.writeSmall(txid(2), two);
    if (end === "remove") await staging.remove(txid(2));
    if (end === "clear") await staging.clear();
    if (end === "replace") await staging.write(txid(2), piecesOf(one));
    if (end === "forget") staging.forgetRecent();
    expect(staging.takeRecent(txid(2))).toBeUndefined();
  }
});

it("makes its folder anew where a small file finds none", async () => {
  using database = createLiveDatabase();
  const staging = await Staging.open(database.path);
  rmSync(staging.folder, { recursive: true });
  await staging.writeSmall(txid(7), Uint8Array.of(7));
  expect(await staging.txids()).toEqual([7n]);
  expect(readdirSync(staging.workFolder)).toHaveLength(1);
});

async function* piecesOf(...pieces: Uint8Array[]) {
  yield* pieces;
}
