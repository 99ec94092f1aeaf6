/** The first image of a database, uploaded while it is staged: the replicator as a whole. */
import { fork } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serialize } from "node:v8";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { ReplicationEvent } from "../../../replicator/sync/events.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { contentOf } from "../../support/database-equality.ts";
import { useFaultyR2 } from "../../support/faulty-r2.ts";
import { createLiveDatabase, type LiveDatabase } from "../../support/live-database.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";
import {
  restoredContent,
  RunningReplication,
  storedTxids,
} from "../../support/running-replication.ts";

const MIB = 1024 * 1024;
const PROGRAM = fileURLToPath(new URL("../../support/replicator-process.ts", import.meta.url));
const faulty = useFaultyR2();

let live: LiveDatabase;
beforeEach(() => {
  live = createLiveDatabase({ pageSize: 4096 });
});
afterEach(() => live[Symbol.dispose]());

/** Bytes that do not compress, so that the image is as large as the database. */
function fill(mebibytes: number): void {
  const insert = live.app.prepare("INSERT INTO t (body) VALUES (randomblob(?))");
  for (let i = 0; i < mebibytes; i++) insert.run(MIB);
}

/** A replica that calls `onPut` when the upload of a file of level 0 begins. */
function replicaTelling(onPut: () => unknown): Replica {
  const store = faulty.openStore({ partBytes: 5 * MIB, singlePutBytesMax: 5 * MIB });
  const telling: ObjectStore = {
    list: (options) => store.list(options),
    get: (key, options) => store.get(key, options),
    put(key, body, options) {
      if (key.endsWith(".ltx")) onPut();
      return store.put(key, body, options);
    },
    delete: (keys, options) => store.delete(keys, options),
  };
  return replicaIn(telling);
}

/** So much content would take an assertion minutes to compare. */
function digestOf(content: ReturnType<typeof contentOf>): string {
  return createHash("sha256").update(serialize(content)).digest("hex");
}

function isPart(number: number): (request: { readonly target: string }) => boolean {
  return ({ target }) => target.includes(`partNumber=${number}&`);
}

it("an image goes up while it is staged, and restores to the database", async () => {
  fill(16);
  const order: string[] = [];
  const replica = replicaTelling(() => order.push("put"));
  const options = {
    databasePath: live.path,
    replica,
    earlyBytesMin: 5 * MIB,
    onEvent: ({ event }: ReplicationEvent) => {
      // Told on a slow machine only.
      if (event !== "progress") order.push(event);
    },
  };
  await using running = await RunningReplication.start(options);
  await running.sync();
  expect(order.slice(0, 3)).toEqual(["started", "put", "staged"]);
  live.exec("INSERT INTO t (body) VALUES ('more')");
  await running.sync();
  expect(await storedTxids(replica)).toEqual([1n, 2n]);
  expect(digestOf(await restoredContent(replica))).toBe(digestOf(contentOf(live.path)));
});

it("a staging directory that is removed when the upload has begun loses nothing, and leaves no gap", async () => {
  fill(16);
  let isRemoved = false;
  const replica = replicaTelling(() => {
    if (isRemoved) return;
    isRemoved = true;
    rmSync(join(live.folder, ".app.db-litestream"), { recursive: true });
  });
  const options = { databasePath: live.path, replica, earlyBytesMin: 5 * MIB };
  await using running = await RunningReplication.start(options);
  await running.sync();
  live.exec("INSERT INTO t (body) VALUES ('more')");
  await running.sync();
  const txids = await storedTxids(replica);
  expect(txids).toEqual(txids.map((_, index) => BigInt(index + 1)));
  expect(digestOf(await restoredContent(replica))).toBe(digestOf(contentOf(live.path)));
});

it("a replicator that is stopped when the upload has begun ends with the image in the store", async () => {
  fill(16);
  const stop = Promise.withResolvers<void>();
  const replica = replicaTelling(() => stop.resolve());
  const options = { databasePath: live.path, replica, earlyBytesMin: 5 * MIB };
  await using running = await RunningReplication.start(options);
  await stop.promise;
  expect(await running.stop()).toMatchObject({ txid: 1n, uploaded: 1n, waiting: 0 });
  expect(digestOf(await restoredContent(replica))).toBe(digestOf(contentOf(live.path)));
});

it("a replicator that is killed amid the upload leaves nothing that a listing shows, and the next one goes on", async () => {
  // More than goes up in one piece.
  fill(68);
  const url = faulty.r2.storeUrl("db", faulty.proxy.url);
  const sent = Promise.withResolvers<void>();
  faulty.proxy.fail(
    // The first part never gets an answer, so the upload cannot end; the second has come when it is on its way.
    { hang: true, when: isPart(1) },
    {
      hang: true,
      when: (request) => {
        if (isPart(2)(request)) sent.resolve();
        return false;
      },
    },
  );
  const env = { ...process.env, ...faulty.r2.env };
  const child = fork(PROGRAM, [live.path, url], { env, stdio: "ignore" });
  const exited = once(child, "exit");
  await sent.promise;
  child.kill("SIGKILL");
  await exited;
  const replica = replicaIn(faulty.openStore());
  expect(await storedTxids(replica)).toEqual([]);
  await using running = await RunningReplication.start({ databasePath: live.path, replica });
  await running.until("uploaded");
  expect(await storedTxids(replica)).toEqual([1n]);
  expect(digestOf(await restoredContent(replica))).toBe(digestOf(contentOf(live.path)));
});
