import { hostname } from "node:os";
import { describe, expect, it } from "vitest";
import { startStatusObject } from "../../../replicator/control/status-object.ts";
import { ReplicaError } from "../../../shared/errors.ts";
import { parseStatus } from "../../../shared/replica/status-document.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import { countingStore } from "../../support/counting-store.ts";
import { manualWait } from "../../support/manual-wait.ts";
import { replicaIn, txid } from "../../support/replica-fixtures.ts";

const KEY = "db/eddy/status.json";
const retention = { l0Seconds: 300, snapshotSeconds: undefined };

async function textIn(store: ObjectStore): Promise<string | undefined> {
  const stored = await store.get(KEY);
  return stored && Buffer.from(stored.bytes).toString();
}

describe("the status object", () => {
  it("says who writes, how far it is, and what is kept, once an interval", async () => {
    const store = countingStore(new MemoryStore());
    const time = manualWait();
    let uploaded = txid(41);
    let nowMs = Date.parse("2026-11-26T10:00:00Z");
    const running = startStatusObject({
      replica: replicaIn(store),
      state: () => ({ uploaded }),
      retention,
      intervalMs: 60_000,
      now: () => nowMs,
      writer: "host:1",
      wait: time.wait,
    });
    expect(await time.waited()).toBe(60_000);
    expect(await textIn(store)).toBeUndefined();
    time.pass();
    await time.waited();
    expect(await textIn(store)).toBe(
      '{"writer":"host:1","at":"2026-11-26T10:00:00.000Z","txid":"0000000000000029","retention":{"l0":300,"snapshot":null}}\n',
    );
    uploaded = txid(42);
    nowMs += 60_000;
    time.pass();
    await time.waited();
    const stored = await store.get(KEY);
    expect(parseStatus(stored!.bytes)).toEqual({
      writer: "host:1",
      atMs: nowMs,
      txid: 42n,
      retention,
    });
    await running[Symbol.asyncDispose]();
    expect(store.puts).toBe(2);
  });

  it("names this process, and a database of which nothing is in the store", async () => {
    const store = new MemoryStore();
    const time = manualWait();
    await using _ = startStatusObject({
      replica: { store, path: "", layout: "folder" },
      state: () => ({ uploaded: undefined }),
      retention,
      intervalMs: 1,
      wait: time.wait,
    });
    await time.waited();
    time.pass();
    await time.waited();
    const stored = await store.get("eddy/status.json");
    expect(parseStatus(stored!.bytes)).toMatchObject({
      writer: `${hostname()}:${process.pid}`,
      txid: undefined,
    });
  });

  it("reports a store that does not take it, and tries again", async () => {
    const memory = new MemoryStore();
    let isAway = true;
    const store: ObjectStore = {
      list: (options) => memory.list(options),
      get: (key, options) => memory.get(key, options),
      delete: (keys, options) => memory.delete(keys, options),
      async put(key, body, options) {
        if (isAway) throw new ReplicaError("R2_ERROR", "the store is away");
        return await memory.put(key, body, options);
      },
    };
    const failures: string[] = [];
    const time = manualWait();
    await using _ = startStatusObject({
      replica: replicaIn(store),
      state: () => ({ uploaded: txid(1) }),
      retention,
      intervalMs: 1,
      onFailure: (message) => failures.push(message),
      wait: time.wait,
    });
    await time.waited();
    time.pass();
    await time.waited();
    expect(failures).toEqual(["the store is away"]);
    isAway = false;
    time.pass();
    await time.waited();
    expect(failures).toHaveLength(1);
    expect(await textIn(store)).toContain('"txid":"0000000000000001"');
  });
});

describe("parseStatus", () => {
  it.each([
    ["nothing", ""],
    ["half of one", '{"writer":"host:1","at"'],
    ["a list", "[]"],
    ["one without a writer", '{"at":"2026-11-26T10:00:00Z","retention":{}}'],
    ["one without a time", '{"writer":"host:1","at":"today","retention":{}}'],
    ["one without retention", '{"writer":"host:1","at":"2026-11-26T10:00:00Z"}'],
    ["a number", "5"],
    ["null", "null"],
  ])("takes %s for none", (_name, text) => {
    expect(parseStatus(Buffer.from(text))).toBeUndefined();
  });
});
