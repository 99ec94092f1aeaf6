import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Replication } from "../../../replicator/sync/sync-loop.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

let folder: string;
let databasePath: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-two-"));
  databasePath = join(folder, "app.db");
  const database = new DatabaseSync(databasePath);
  database.exec("PRAGMA journal_mode = wal; CREATE TABLE t (a)");
  database.close();
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("a second replicator on one database", () => {
  it("is refused, and touches nothing that the first one is writing", async () => {
    const options = { databasePath, replica: replicaIn(new MemoryStore()) };
    const first = await Replication.start(options);
    const unfinished = join(folder, ".app.db-litestream/ltx/0/one.ltx.tmp");
    writeFileSync(unfinished, "half");
    await expect(Replication.start(options)).rejects.toMatchObject({
      code: "WRITER_CONFLICT",
      message: expect.stringContaining(`(process ${process.pid})`) as string,
    });
    expect(existsSync(unfinished)).toBe(true);
    first.close();
    const third = await Replication.start(options);
    expect(existsSync(unfinished)).toBe(false);
    third.close();
  });
});
