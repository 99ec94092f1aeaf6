import { describe, expect, it } from "vitest";
import { checkIdentity, withEtag } from "../../../shared/replica/edge-bundle/check-identity.ts";
import { formatLtxKey } from "../../../shared/replica/ltx-key.ts";
import type { Etag } from "../../../shared/storage/object-store.ts";
import { countingStore } from "../../support/counting-store.ts";
import { bundledReplica, openBundle, rowsSql } from "../../support/bundle-fixtures.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const SCRIPT = { pageSize: 1024, transactions: [rowsSql("a", 20), "DELETE FROM a WHERE id = 3"] };

async function openedBundle() {
  const bundled = await bundledReplica(SCRIPT);
  const store = countingStore(bundled.replica.store);
  const replica = replicaIn(store);
  const head = await openBundle(replica);
  const key = formatLtxKey(replica, head.files[0]);
  store.reset();
  return { store, replica, head, file: head.files[0], key };
}

describe("checkIdentity", () => {
  it("asks nothing where the ETag is the bundle's", async () => {
    const { store, replica, file } = await openedBundle();
    expect(await checkIdentity(replica, file, { seen: file.etag })).toEqual({ kind: "same" });
    expect(store.gets).toBe(0);
    expect(await checkIdentity(replica, file)).toEqual({ kind: "same" });
    expect(store.gets).toBe(1);
    expect(store.bytesRead).toBe(16);
  });

  it("knows a copy by the file's own checksum, and the bundle then reads it", async () => {
    const { store, replica, head, file, key } = await openedBundle();
    const { etag } = await store.put(key, (await store.get(key))!.bytes);
    expect(await checkIdentity(replica, file, { seen: etag })).toEqual({ kind: "copy", etag });
    const adopted = withEtag(head, replica, { file: 0, etag });
    expect(adopted.plan.files[0]).toEqual({ ...head.plan.files[0], etag });
    expect(adopted.locator).toBe(head.locator);
  });

  it("tells a copy that is damaged within from another history", async () => {
    const { store, replica, file, key } = await openedBundle();
    const { bytes } = (await store.get(key))!;
    bytes[150] ^= 1;
    const damaged = await store.put(key, bytes);
    expect(await checkIdentity(replica, file)).toEqual({ kind: "copy", etag: damaged.etag });
    const other = await bundledReplica({ ...SCRIPT, transactions: [rowsSql("other", 20)] });
    await store.put(key, (await other.replica.store.get(key))!.bytes);
    expect(await checkIdentity(replica, file)).toEqual({ kind: "other" });
  });

  it.each([
    ["nothing", new Uint8Array()],
    ["a text", new TextEncoder().encode("sixteen and more characters")],
  ])("takes %s in the object's place for another history", async (_name, body) => {
    const { store, replica, file, key } = await openedBundle();
    await store.put(key, body);
    const seen = "an older look" as Etag;
    expect(await checkIdentity(replica, file, { seen })).toEqual({ kind: "other" });
  });

  it("says that an object is gone", async () => {
    const { store, replica, file, key } = await openedBundle();
    await store.delete([key]);
    expect(await checkIdentity(replica, file)).toEqual({ kind: "gone" });
  });
});
