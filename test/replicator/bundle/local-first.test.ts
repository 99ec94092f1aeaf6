import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { localFirst } from "../../../replicator/bundle/local-first.ts";
import { listAllFiles } from "../../../shared/replica/load-plan.ts";
import { formatLtxKey } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { replicaIn, txid } from "../../support/replica-fixtures.ts";

it("a copy on this machine that cannot be read is read from the store", async () => {
  // A folder can be opened, has a size, and is not read: as a file on a disk that fails.
  const path = mkdtempSync(join(tmpdir(), "eddy-copy-"));
  const replica = replicaIn(new MemoryStore());
  const key = formatLtxKey(replica, { level: 0, minTxid: txid(1), maxTxid: txid(1) });
  await replica.store.put(key, new Uint8Array(statSync(path).size).fill(7));
  const [info] = await listAllFiles(replica);
  const { store } = localFirst(replica, { infoOf: () => info, pathOf: () => path });
  const found = await store.get(key, { range: { offset: 1, length: 2 } });
  expect(found?.bytes).toEqual(Uint8Array.of(7, 7));
  rmSync(path, { recursive: true });
});
