import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FileStore } from "../../../replicator/storage/file-store.ts";
import { Lease } from "../../../replicator/sync/lease.ts";
import { CLOCK_SLACK_MS, LEASE_MS } from "../../../replicator/sync/lease-document.ts";
import { ReplicaError } from "../../../shared/errors.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import { countingStore } from "../../support/counting-store.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const KEY = "db/lock.json";
const never = new AbortController().signal;

let folder: string;
let store: ObjectStore;
let nowMs: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-lease-"));
  store = new MemoryStore();
  nowMs = Date.UTC(2026, 10, 26);
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});

/** As a process does that works on the staging directory `name`. */
function look(name: string, at: ObjectStore = store): Promise<Lease> {
  const recordPath = join(folder, name, "eddy.lease");
  return Lease.look({ replica: replicaIn(at), recordPath, now: () => nowMs });
}

async function stored(): Promise<Record<string, unknown>> {
  const { bytes } = (await store.get(KEY))!;
  return JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
}

function failing(at: ObjectStore, put: ObjectStore["put"]): ObjectStore {
  return {
    list: (options) => at.list(options),
    get: (key, options) => at.get(key, options),
    put,
    delete: (keys, options) => at.delete(keys, options),
  };
}

const CONFLICT = { code: "WRITER_CONFLICT" };

describe.each([
  ["memory", () => new MemoryStore()],
  ["a folder", () => new FileStore(join(folder, "store"))],
])("Lease, in %s", (_name, open) => {
  beforeEach(() => {
    store = open();
  });

  it("is taken with the first hold, not by the look", async () => {
    const lease = await look("a");
    expect(await store.get(KEY)).toBeUndefined();
    await lease.hold(never);
    expect(await stored()).toMatchObject({
      generation: 1,
      expires_at: new Date(nowMs + LEASE_MS).toISOString(),
      owner: expect.stringMatching(new RegExp(`^.+:${process.pid}$`)) as string,
    });
  });

  it("asks nothing of the store while more than a third of its time is left", async () => {
    const counting = countingStore(store);
    const lease = await look("a", counting);
    await lease.hold(never);
    counting.reset();
    nowMs += (2 * LEASE_MS) / 3 - 1;
    await lease.hold(never);
    expect([counting.gets, counting.puts, counting.lists]).toEqual([0, 0, 0]);
    nowMs += 1;
    await lease.hold(never);
    expect([counting.gets, counting.puts, counting.lists]).toEqual([0, 1, 0]);
    expect(await stored()).toMatchObject({
      generation: 1,
      expires_at: new Date(nowMs + LEASE_MS).toISOString(),
    });
  });

  it("is renewed beside an upload from half of its time on, so that the next need not wait for it", async () => {
    const counting = countingStore(store);
    const lease = await look("a", counting);
    await lease.hold(never);
    counting.reset();
    nowMs += LEASE_MS / 2 - 1;
    lease.renewAhead(never);
    expect(counting.puts).toBe(0);
    nowMs += 1;
    lease.renewAhead(never);
    // Waits for a renewal that is under way.
    await lease.confirm(never);
    counting.reset();
    nowMs += LEASE_MS / 2;
    await lease.hold(never);
    expect(counting.puts).toBe(0);
  });

  it("is renewed also when the clock was set back", async () => {
    const lease = await look("a");
    await lease.hold(never);
    nowMs -= 3_600_000;
    await lease.hold(never);
    expect(await stored()).toMatchObject({
      expires_at: new Date(nowMs + LEASE_MS).toISOString(),
    });
  });

  it("keeps others out, who are told whose it is, until when, and what to do", async () => {
    await (await look("a")).hold(never);
    await expect(look("b")).rejects.toMatchObject({
      ...CONFLICT,
      message: expect.stringMatching(
        /db\/lock\.json.* belongs to .+:\d+ until 2026-11-26T00:00:30\.000Z: stop that one/,
      ) as string,
    });
    nowMs += LEASE_MS + CLOCK_SLACK_MS - 1;
    await expect(look("b")).rejects.toMatchObject(CONFLICT);
  });

  it("is taken over by another once it has run out, and then stops the first for good", async () => {
    const first = await look("a");
    await first.hold(never);
    nowMs += LEASE_MS + CLOCK_SLACK_MS;
    const second = await look("b");
    await second.hold(never);
    expect(await stored()).toMatchObject({ generation: 2 });
    await expect(first.hold(never)).rejects.toMatchObject({
      ...CONFLICT,
      message: expect.stringContaining("has taken this path over") as string,
    });
    await second.release();
    nowMs += 2 * LEASE_MS;
    await expect(first.hold(never)).rejects.toMatchObject(CONFLICT);
  });

  it("belongs to whoever takes it first of two that found it free", async () => {
    const [first, second] = [await look("a"), await look("b")];
    await second.hold(never);
    await expect(first.hold(never)).rejects.toMatchObject(CONFLICT);
    await second.confirm(never);
  });

  it("is taken over at once by whoever comes after on the same staging directory", async () => {
    await (await look("a")).hold(never);
    const next = await look("a");
    await next.hold(never);
    expect(await stored()).toMatchObject({ generation: 2 });
  });

  it("is given back by one that has run out, so that another need not wait", async () => {
    const lease = await look("a");
    await lease.hold(never);
    await lease.release();
    const runOut = new Date(nowMs - LEASE_MS).toISOString();
    expect(await stored()).toMatchObject({ expires_at: runOut });
    await (await look("b")).hold(never);
  });

  it("asks nothing of the store to be given back when it was never taken", async () => {
    const counting = countingStore(store);
    const lease = await look("a", counting);
    await lease.release();
    expect([counting.gets, counting.puts, counting.deletes]).toEqual([1, 0, 0]);
  });
});

describe("Lease", () => {
  it("is known again after a process was killed while it wrote it, carried out or not", async () => {
    await (await look("a")).hold(never);
    for (const isCarriedOut of [false, true]) {
      const killed = failing(store, async (key, body, options) => {
        if (isCarriedOut) await store.put(key, body, options);
        throw new ReplicaError("ABORTED", "killed");
      });
      await expect((await look("a", killed)).hold(never)).rejects.toThrow("killed");
      await expect(look("b")).rejects.toMatchObject(CONFLICT);
      await (await look("a")).hold(never);
    }
  });

  it("goes on when the answer to its write was lost", async () => {
    let isLost = false;
    const losing = failing(store, async (key, body, options) => {
      const info = await store.put(key, body, options);
      if (!isLost) return info;
      isLost = false;
      throw new ReplicaError("R2_ERROR", "no answer");
    });
    const lease = await look("a", losing);
    await lease.hold(never);
    isLost = true;
    await expect(lease.confirm(never)).rejects.toMatchObject({ code: "R2_ERROR" });
    await lease.confirm(never);
    expect(await stored()).toMatchObject({ generation: 1 });
  });

  it("tries again when the store met another write of it, and tells a lasting one as its failure", async () => {
    let conflicts = 0;
    const busy = failing(store, async (key, body, options) => {
      if (conflicts-- > 0) throw new ReplicaError("STORE_CONFLICT", "another write is under way");
      return await store.put(key, body, options);
    });
    const lease = await look("a", busy);
    await lease.hold(never);
    conflicts = 2;
    await lease.confirm(never);
    conflicts = 100;
    await expect(lease.confirm(never)).rejects.toMatchObject({ code: "R2_ERROR" });
  });

  it("stops when its object was deleted: another may have been there meanwhile", async () => {
    const lease = await look("a");
    await lease.hold(never);
    await store.delete([KEY]);
    await expect(lease.confirm(never)).rejects.toMatchObject(CONFLICT);
  });

  it("does not write over an object that is no lease, and says what to do", async () => {
    await store.put(KEY, new TextEncoder().encode("mine"));
    await expect(look("a")).rejects.toMatchObject({
      ...CONFLICT,
      message: expect.stringContaining("is no lease: delete it when") as string,
    });
  });

  it("is not known again by a damaged record, which is as none", async () => {
    await (await look("a")).hold(never);
    writeFileSync(
      join(folder, "a/eddy.lease"),
      readFileSync(join(folder, "a/eddy.lease"), "utf8").slice(9),
    );
    await expect(look("a")).rejects.toMatchObject(CONFLICT);
  });

  it("refuses a store that overlooks conditions, and says how to switch the lease off", async () => {
    const careless = failing(store, (key, body) => store.put(key, body));
    const lease = await look("a", careless);
    await expect(lease.hold(never)).rejects.toMatchObject({
      code: "BAD_CONFIG",
      message: expect.stringMatching(/overlooks the condition.*--no-lease/) as string,
    });
    await expect(lease.hold(never)).rejects.toMatchObject({ code: "BAD_CONFIG" });
  });

  it("is renewed while a long upload goes on, which is given up when it is lost", async () => {
    vi.useFakeTimers({ toFake: ["setInterval"] });
    const lease = await look("a");
    const begun = Promise.withResolvers<void>();
    const uploading = lease.during(never, async (signal) => {
      begun.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      throw new ReplicaError("ABORTED", "the upload was given up");
    });
    uploading.catch(() => undefined);
    await begun.promise;
    nowMs += (2 * LEASE_MS) / 3;
    vi.advanceTimersByTime(LEASE_MS / 3);
    const renewed = new Date(nowMs + LEASE_MS).toISOString();
    await vi.waitFor(async () => expect(await stored()).toMatchObject({ expires_at: renewed }));
    nowMs += LEASE_MS + CLOCK_SLACK_MS;
    await (await look("b")).hold(never);
    vi.advanceTimersByTime(LEASE_MS / 3);
    await expect(uploading).rejects.toMatchObject(CONFLICT);
  });
});
