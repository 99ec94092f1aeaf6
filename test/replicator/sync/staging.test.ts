import { rmSync } from "node:fs";
import { expect, it } from "vitest";
import { Staging } from "../../../replicator/sync/staging.ts";
import { createLiveDatabase } from "../../support/live-database.ts";

it("holds no TXID when somebody removes the directory, at whatever moment", async () => {
  using database = createLiveDatabase();
  const staging = await Staging.open(database.path);
  rmSync(staging.folder, { recursive: true });
  expect(await staging.txids()).toEqual([]);
});
