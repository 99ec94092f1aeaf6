import { appendFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { watchWal } from "../../../replicator/wal/wal-watcher.ts";

const folder = mkdtempSync(join(tmpdir(), "eddy-watch-"));
afterEach(() => vi.useRealTimers());
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("watchWal", () => {
  it("tells when the log is made, deleted and made anew, without waiting for the poll", async () => {
    vi.useFakeTimers({ toFake: ["setInterval"] });
    const path = join(folder, "app.db");
    let told = Promise.withResolvers<void>();
    using _ = watchWal(path, () => told.resolve());
    for (let round = 0; round < 2; round++) {
      told = Promise.withResolvers();
      appendFileSync(`${path}-wal`, "frames");
      await told.promise;
      rmSync(`${path}-wal`);
    }
  });

  it("polls where the system grants no watch", async () => {
    const told = Promise.withResolvers<void>();
    using watching = watchWal(join(folder, "gone", "app.db"), () => told.resolve());
    await told.promise;
    expect(watching).toBeDefined();
  });
});
