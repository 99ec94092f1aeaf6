import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { restoreDatabase } from "../../replicator/restore/restore-database.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { RestoreTarget } from "../../shared/replica/restore-plan.ts";

/** The database file that `eddy restore` makes, its integrity checked. */
export async function restoredImage(
  replica: Replica,
  target: RestoreTarget = { kind: "latest" },
): Promise<Buffer> {
  const folder = mkdtempSync(join(tmpdir(), "eddy-restored-"));
  const output = join(folder, "restored.db");
  try {
    await restoreDatabase(replica, { output, target, integrityCheck: "full", force: false });
    return readFileSync(output);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
