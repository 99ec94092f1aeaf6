/** Older Litestreams: they write pages as LZ4 frames, and read nothing else. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openReplica } from "../../replicator/storage/open-store.ts";
import { compactLtx } from "../../shared/ltx/compactor.ts";
import { openLtx } from "../../shared/ltx/open-ltx.ts";
import { LTX_HEADER_BYTES } from "../../shared/ltx/header.ts";
import { eddy } from "../support/eddy-cli.ts";
import { litestream, type LitestreamVersion } from "../support/litestream.ts";
import { createOrders, expectSameDatabase, readAsWorker, write } from "../support/same-database.ts";

const folder = mkdtempSync(join(tmpdir(), "eddy-versions-"));
const at = (name: string) => join(folder, name);
let restores = 0;

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** How the first page of every file at level 0 is compressed, in the order of the TXIDs. */
function codecs(replica: string): ("frame" | "block")[] {
  const level = join(at(replica), "ltx", "0");
  return readdirSync(level)
    .toSorted()
    .map((name) => {
      const flags = readFileSync(join(level, name)).readUInt16BE(LTX_HEADER_BYTES + 4);
      return flags === 0 ? "frame" : "block";
    });
}

function replicateTheirs(path: string, replica: string, version: LitestreamVersion): void {
  const result = litestream(["replicate", "-once", path, `file://${at(replica)}`], {}, version);
  expect(result).toMatchObject({ status: 0 });
}

async function replicateOurs(path: string, replica: string): Promise<void> {
  const result = await eddy(["replicate", path, `file://${at(replica)}`, "--once"]);
  expect(result).toMatchObject({ status: 0 });
}

/** Restores with Eddy, with the newest Litestream, and as the Worker reads: all of them the database. */
async function expectRestorable(path: string, replica: string): Promise<void> {
  const url = `file://${at(replica)}`;
  const [ours, theirs] = [at(`restored-${++restores}.db`), at(`restored-${++restores}.db`)];
  expect(await eddy(["restore", url, "-o", ours])).toMatchObject({ status: 0 });
  expectSameDatabase(ours, path);
  expect(litestream(["restore", "-o", theirs, url])).toMatchObject({ status: 0 });
  expectSameDatabase(theirs, path);
  const read = await readAsWorker(openReplica(url, { env: {}, writing: false }), {
    kind: "latest",
  });
  expect(read.equals(readFileSync(ours))).toBe(true);
}

describe.each(["0.5.15", "0.5.8"] as const)("Litestream %s", (version) => {
  const path = at(`${version}.db`);
  const replica = `replica-${version}`;

  it("writes frames, which are restored by us and read as the Worker reads", async () => {
    createOrders(path);
    replicateTheirs(path, replica, version);
    write(path, "UPDATE orders SET note = 'old' WHERE id % 3 = 0");
    replicateTheirs(path, replica, version);
    expect(codecs(replica)).not.toContain("block");
    await expectRestorable(path, replica);
  });

  it("is followed by us on the same path, and by 0.5.17: frames and blocks in one replica", async () => {
    const before = codecs(replica).length;
    write(path, "UPDATE orders SET note = 'ours' WHERE id % 4 = 0");
    await replicateOurs(path, replica);
    await expectRestorable(path, replica);
    write(path, "DELETE FROM orders WHERE id % 6 = 0");
    replicateTheirs(path, replica, "0.5.17");
    await expectRestorable(path, replica);
    expect(codecs(replica).slice(0, before)).not.toContain("block");
    expect(codecs(replica).slice(before)).not.toContain("frame");
  });

  it("cannot go on behind blocks, and writes nothing there", () => {
    const before = codecs(replica);
    const url = `file://${at(replica)}`;
    const result = litestream(["replicate", "-once", path, url], {}, version);
    expect(result.status).not.toBe(0);
    expect(codecs(replica)).toEqual(before);
  });

  it("cannot read the blocks that we write, and says so rather than restoring less", async () => {
    const output = at(`refused-${version}.db`);
    const url = `file://${at(replica)}`;
    expect(litestream(["restore", "-o", output, url], {}, version)).not.toMatchObject({
      status: 0,
    });
    expect(readdirSync(folder)).not.toContain(`refused-${version}.db`);
  });

  it("restores a replica of ours whose files were encoded anew as frames", async () => {
    const [source, target] = [`blocks-${version}`, `frames-${version}`];
    await replicateOurs(path, source);
    write(path, "UPDATE orders SET note = 'last' WHERE id % 8 = 0");
    await replicateOurs(path, source);
    await encodeAsFrames(source, target);
    expect(codecs(target)).not.toContain("block");
    const output = at(`of-frames-${version}.db`);
    const restored = litestream(["restore", "-o", output, `file://${at(target)}`], {}, version);
    expect(restored).toMatchObject({ status: 0 });
    expectSameDatabase(output, path);
  });
});

describe("a path on which 0.5.8 was followed by 0.5.17", () => {
  it("is restored by us", async () => {
    const [path, replica] = [at("upgraded.db"), "replica-upgraded"];
    createOrders(path);
    replicateTheirs(path, replica, "0.5.8");
    write(path, "UPDATE orders SET note = 'upgraded' WHERE id % 3 = 0");
    replicateTheirs(path, replica, "0.5.17");
    expect(codecs(replica)).toEqual(expect.arrayContaining(["frame", "block"]));
    await expectRestorable(path, replica);
  });
});

async function encodeAsFrames(source: string, target: string): Promise<void> {
  const { store } = openReplica(`file://${at(target)}`, { env: {}, writing: true });
  const level = join(at(source), "ltx", "0");
  for (const name of readdirSync(level)) {
    const body = [...compactLtx([openLtx([readFileSync(join(level, name))])], { codec: "frame" })];
    await store.put(`ltx/0/${name}`, Buffer.concat(body));
  }
}
