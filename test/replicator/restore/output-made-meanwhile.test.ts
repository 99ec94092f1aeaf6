import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { restoreDatabase } from "../../../replicator/restore/restore-database.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { historyOf } from "../../support/page-history.ts";

let folder: string;
let output: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-meanwhile-"));
  output = join(folder, "app.db");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Restores while an application makes its database, log and all, under the output's name. */
async function restoreBesideApplication(force: boolean) {
  const history = historyOf([{ commit: 3, changed: [1, 2, 3] }]);
  const replica: Replica = { store: new MemoryStore(), path: "db", layout: "s3" };
  await history.put(replica, 0, 1);
  const restoring = restoreDatabase(replica, {
    output,
    target: { kind: "latest" },
    integrityCheck: "none",
    force,
    onProgress() {
      writeFileSync(output, "the application's database");
      writeFileSync(`${output}-wal`, "what it has committed");
    },
  });
  return { restoring, image: history.image(1) };
}

describe("a restore to a name that an application takes meanwhile", () => {
  it("is refused, and leaves the application's database and its log alone", async () => {
    const { restoring } = await restoreBesideApplication(false);
    await expect(restoring).rejects.toMatchObject({ code: "OUTPUT_EXISTS" });
    expect(readFileSync(output, "utf8")).toBe("the application's database");
    expect(readFileSync(`${output}-wal`, "utf8")).toBe("what it has committed");
    expect(readdirSync(folder).toSorted()).toEqual(["app.db", "app.db-wal"]);
  });

  it("replaces both where it is told to", async () => {
    const { restoring, image } = await restoreBesideApplication(true);
    await restoring;
    expect(readFileSync(output).equals(image)).toBe(true);
    expect(existsSync(`${output}-wal`)).toBe(false);
  });
});
