import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { listAllFiles } from "../../shared/replica/load-plan.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";

/** Copies a replica out of a bucket that ends with the harness, under its keys. */
export async function keepObjects(replica: Replica, folder: string): Promise<void> {
  for (const { key } of await listAllFiles(replica)) {
    const stored = await replica.store.get(key);
    if (!stored) continue;
    const path = join(folder, key);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, stored.bytes);
  }
}
