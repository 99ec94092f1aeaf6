/** What an isolate keeps of the databases that it reads stays within what it was given. */
import { expect, test } from "vitest";
import { LIBRARY_LIMITS, READS_UNDER_WAY_BYTES_MAX } from "../../worker/limits.ts";
import { Library } from "../../worker/replicas/library.ts";
import type { LibraryMemory } from "../../worker/replicas/library-memory.ts";
import { coldReader } from "../support/workerd/cold-reader.ts";
import { ledgerReplica, singles } from "../support/workerd/ledger.ts";

const ENGINES_BYTES = 36_000_000;
const CODE_BYTES = 7_000_000;

const ROWS = "SELECT count(note), max(note) FROM entries";

/** About what one of the databases here takes: less than all of them together. */
const TIGHT: LibraryMemory = {
  pages: 100_000,
  heads: 100_000,
  snapshots: 40_000,
  indexes: 20_000,
  windows: 20_000,
  locations: 16_384,
};

test("what all of it may take is 96 MB", () => {
  const kept = Object.values(LIBRARY_LIMITS).reduce((sum, bytes) => sum + bytes, 0);
  const all = kept + READS_UNDER_WAY_BYTES_MAX + ENGINES_BYTES + CODE_BYTES;
  expect(all).toBeLessThanOrEqual(96_200_000);
});

test("twelve databases with bundles and new files take no more than the limits", async () => {
  const library = new Library({ limits: TIGHT, now: () => 1_000_000 });
  const ledger = ledgerReplica();
  await ledger.put(...singles(1, 3));
  await ledger.bundle();
  await ledger.put(...singles(4, 6));
  for (let index = 0; index < 12; index++) {
    const path = `db${index}`;
    for (const key of await ledger.keys("db/")) {
      await ledger.memory.put(key.replace("db/", `${path}/`), await ledger.bytes(key));
    }
    const answer = await coldReader(ledger.memory, { path, library }).query(ROWS);
    expect(answer.rows[0]?.[0]).toBe(4_000);
    const memory = library.memory();
    for (const part of Object.keys(TIGHT) as (keyof LibraryMemory)[]) {
      expect(memory[part], part).toBeLessThanOrEqual(TIGHT[part]);
    }
  }
  expect(library.memory().pages).toBeGreaterThan(TIGHT.pages / 2);
});
