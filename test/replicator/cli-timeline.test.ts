import { rmSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FileStore } from "../../replicator/storage/file-store.ts";
import { createCliFixture, type CliFixture } from "../support/cli-fixture.ts";
import { eddy } from "../support/eddy-cli.ts";
import { PageHistory } from "../support/page-history.ts";

let fixture: CliFixture;
beforeAll(async () => {
  fixture = await createCliFixture();
});
afterAll(() => fixture.remove());

/** A replica in which level 0 is whole from TXID 7 on; before that, level 1 tells three moments apart. */
async function createMergedReplica(): Promise<string> {
  const folder = fixture.at("merged");
  const replica = { store: new FileStore(folder), path: "", layout: "folder" } as const;
  const history = new PageHistory();
  for (let n = 1; n <= 9; n++) history.commit({ commit: 5, changed: [1 + (n % 5)] });
  await history.put(replica, 0, 1);
  for (const first of [2, 4, 6]) await history.put(replica, 1, first, first + 1);
  for (const n of [7, 8, 9]) await history.put(replica, 0, n);
  return `file://${folder}`;
}

describe("eddy timeline", () => {
  it("says that every TXID can be restored where nothing was deleted", async () => {
    const { status, stdout } = await eddy(["timeline", fixture.replicaUrl]);
    expect(status).toBe(0);
    expect(stdout).toMatch(
      /^from +to +min_txid +max_txid +what can be restored\n\S+Z  \S+Z  0{15}1  0{15}2  every TXID, one every .*\n$/,
    );
  });

  it("shows where it gets coarser, in lines and as JSON", async () => {
    const url = await createMergedReplica();
    const { stdout } = await eddy(["timeline", url, "--json"]);
    expect(JSON.parse(stdout)).toEqual([
      {
        level: 0,
        min_txid: "0000000000000001",
        max_txid: "0000000000000001",
        min_timestamp: "1970-01-01T00:00:01.000Z",
        max_timestamp: "1970-01-01T00:00:01.000Z",
        moments: 1,
        every_txid: true,
        step_ms: null,
      },
      {
        level: 1,
        min_txid: "0000000000000003",
        max_txid: "0000000000000005",
        min_timestamp: "1970-01-01T00:00:03.000Z",
        max_timestamp: "1970-01-01T00:00:05.000Z",
        moments: 2,
        every_txid: false,
        step_ms: 2_000,
      },
      {
        level: 0,
        min_txid: "0000000000000007",
        max_txid: "0000000000000009",
        min_timestamp: "1970-01-01T00:00:07.000Z",
        max_timestamp: "1970-01-01T00:00:09.000Z",
        moments: 3,
        every_txid: true,
        step_ms: 1_000,
      },
    ]);
    const lines = (await eddy(["timeline", url])).stdout.split("\n");
    expect(lines[1]).toContain("  this moment");
    expect(lines[2]).toContain("  2 moments, one every 2 s (level 1)");
    expect(lines[3]).toContain("  every TXID, one every 1 s");
  });

  it("says what lies beyond a missing file", async () => {
    const url = await createMergedReplica();
    rmSync(fixture.at("merged/ltx/0/0000000000000008-0000000000000008.ltx"));
    const { status, stdout, stderr } = await eddy(["timeline", url]);
    expect(status).toBe(0);
    expect(stdout).toContain("0000000000000007");
    expect(stderr).toContain("1 more files, up to TXID 0000000000000009");
  });

  it("says so where nothing is there, and where nothing can be restored", async () => {
    const missing = await eddy(["timeline", `file://${fixture.at("nowhere")}`, "--json"]);
    expect(missing).toMatchObject({ status: 3 });
    expect(JSON.parse(missing.stdout)).toMatchObject({ code: "DB_NOT_FOUND" });
    const url = await createMergedReplica();
    rmSync(fixture.at("merged/ltx/0/0000000000000001-0000000000000001.ltx"));
    const { status, stderr } = await eddy(["timeline", url]);
    expect(status).not.toBe(0);
    expect(stderr).toContain("no LTX file begins at TXID 1");
  });
});
