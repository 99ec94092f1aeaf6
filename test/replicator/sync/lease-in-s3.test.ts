import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Lease } from "../../../replicator/sync/lease.ts";
import { CLOCK_SLACK_MS, LEASE_MS } from "../../../replicator/sync/lease-document.ts";
import type { S3StoreOptions } from "../../../shared/storage/s3-store.ts";
import { contentOf } from "../../support/database-equality.ts";
import { useFaultyR2 } from "../../support/faulty-r2.ts";
import { createLiveDatabase, type LiveDatabase } from "../../support/live-database.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";
import { unconditionalFetch } from "../../support/unconditional-fetch.ts";
import { restoredContent, RunningReplication } from "../../support/running-replication.ts";

const fixture = useFaultyR2();
const afterExpiry = () => Date.now() + LEASE_MS + CLOCK_SLACK_MS;
const MIB = 1024 * 1024;
const PARTS = { partBytes: 5 * MIB, singlePutBytesMax: 5 * MIB } as const;

let live: LiveDatabase;
beforeEach(() => {
  live = createLiveDatabase({ pageSize: 4096 });
  live.exec("INSERT INTO t (body) VALUES ('one')");
});
afterEach(() => live[Symbol.dispose]());

/** Does something once, while the first part of a body is on its way. */
function whileUploading(act: () => Promise<void>): Partial<S3StoreOptions> {
  let isDone = false;
  return {
    ...PARTS,
    fetch: async (url, init) => {
      if (!isDone && url.includes("partNumber=1")) {
        isDone = true;
        await act();
      }
      return await fetch(url, init);
    },
  };
}

describe("a replicator, with a service that knows no conditional writes", () => {
  const unconditional = { fetch: unconditionalFetch };

  it("takes no lease, says how to switch it off, and writes nothing", async () => {
    const replica = replicaIn(fixture.openStore(unconditional));
    await using running = await RunningReplication.start({ databasePath: live.path, replica });
    await expect(running.ended()).rejects.toMatchObject({
      code: "BAD_CONFIG",
      message: expect.stringMatching(/knows no conditional writes .*--no-lease/) as string,
    });
    expect((await fixture.r2.binding.list()).objects).toEqual([]);
  });

  it("replicates without one, and still writes over nothing that it finds", async () => {
    const replica = replicaIn(fixture.openStore(unconditional));
    const options = { databasePath: live.path, replica, lease: false };
    await using running = await RunningReplication.start(options);
    await running.sync();
    expect(await restoredContent(replica)).toEqual(contentOf(live.path));
    const key = "db/0000/0000000000000002-0000000000000002.ltx";
    await fixture.r2.binding.put(key, "another's");
    live.exec("INSERT INTO t (body) VALUES ('two')");
    await expect(running.ended()).rejects.toMatchObject({ code: "WRITER_CONFLICT" });
    expect(await fixture.stored(key)).toBe("another's");
  });
});

describe("a file that goes up in parts", () => {
  beforeEach(() => live.exec(`INSERT INTO t (body) VALUES (hex(randomblob(${3 * MIB})))`));

  it("renews the lease right before it becomes visible", async () => {
    const replica = replicaIn(fixture.openStore(PARTS));
    await using running = await RunningReplication.start({ databasePath: live.path, replica });
    await running.sync();
    const requests = fixture.requestsSeen();
    const completion = requests.findIndex((request) => /^POST .*uploadId=/.test(request));
    expect(requests.slice(completion - 2, completion)).toEqual([
      "PUT db/lock.json",
      "HEAD db/0000/0000000000000001-0000000000000001.ltx",
    ]);
    expect(await restoredContent(replica)).toEqual(contentOf(live.path));
  });

  it("does not become visible when another has taken the lease over meanwhile", async () => {
    const recordPath = `${live.path}.elsewhere`;
    const other = { replica: replicaIn(fixture.openStore()), recordPath, now: afterExpiry };
    const takeOver = async () => await (await Lease.look(other)).hold(new AbortController().signal);
    const replica = replicaIn(fixture.openStore(whileUploading(takeOver)));
    await using running = await RunningReplication.start({ databasePath: live.path, replica });
    await expect(running.ended()).rejects.toMatchObject({ code: "WRITER_CONFLICT" });
    const { objects } = await fixture.r2.binding.list();
    expect(objects.map(({ key }) => key)).toEqual(["db/lock.json"]);
    expect(fixture.requestsSeen().at(-1)).toMatch(/^DELETE .*uploadId=/);
  });
});
