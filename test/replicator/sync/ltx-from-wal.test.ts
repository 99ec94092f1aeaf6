import { describe, expect, it } from "vitest";
import type { SourceDatabase } from "../../../replicator/source/source-database.ts";
import { snapshotLtx } from "../../../replicator/sync/ltx-from-wal.ts";
import { lockPgno } from "../../../shared/sqlite/database-header.ts";
import { txid } from "../../support/replica-fixtures.ts";

/** A gibibyte and a little, of which no page is held. */
function hugeDatabase(pageSize: number): SourceDatabase {
  const page = new Uint8Array(8);
  return { pageSize, pageRuns: () => ({ read: () => page }) } as unknown as SourceDatabase;
}

describe("snapshotLtx", () => {
  it.each([4096, 65_536])(
    "holds every page of a database over a gibibyte but the lock page: pages of %i bytes",
    (pageSize) => {
      const commit = lockPgno(pageSize) + 2;
      const point = { txid: txid(7), commit, timestampMs: 1_000 };
      const parts = { source: hugeDatabase(pageSize), wal: undefined };
      const { header, pages } = snapshotLtx(point, undefined, parts);
      expect(header).toMatchObject({ minTxid: 1n, maxTxid: 7n, commit, timestampMs: 1_000 });
      let next = 1;
      for (const { pgno } of pages) {
        if (next === lockPgno(pageSize)) next++;
        if (pgno !== next) expect(pgno).toBe(next);
        next++;
      }
      expect(next).toBe(commit + 1);
    },
  );
});
