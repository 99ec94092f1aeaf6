/** Settings of `eddy replicate` that show in the replica: page codec, snapshots, retention, the status object. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, it } from "vitest";
import { decodeLtx } from "../../shared/ltx/decoder.ts";
import { createCliFixture, createDatabase, rowsOf } from "../support/cli-fixture.ts";
import { eddy } from "../support/eddy-cli.ts";
import { RunningEddy } from "../support/running-eddy.ts";

const { at, remove } = await createCliFixture();
afterAll(remove);

/** How each LZ4 frame begins that Litestream up to 0.5.15 writes. */
const FRAME = Buffer.from("04224d186440a7", "hex");

function filesOf(replica: string, level: number): string[] {
  const folder = at(`${replica}/ltx/${level}`);
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith(".ltx"))
    .map((name) => `${folder}/${name}`);
}

/** The codecs of all pages of a file. */
function codecsOf(path: string): { readonly frames: number; readonly blocks: number } {
  const bytes = readFileSync(path);
  const pages = decodeLtx(bytes).pages.length;
  let frames = 0;
  for (let at = bytes.indexOf(FRAME); at !== -1; at = bytes.indexOf(FRAME, at + 1)) {
    // The page's flags stand right before it.
    if (bytes.readUInt16BE(at - 2) === 0) frames++;
  }
  return { frames, blocks: pages - frames };
}

function commit(name: string): void {
  const database = new DatabaseSync(at(name));
  database.exec("INSERT INTO t (body) VALUES (hex(randomblob(20000)))");
  database.close();
}

async function replicateOnce(...args: string[]): Promise<void> {
  expect(await eddy(["replicate", ...args, "--once"])).toMatchObject({ status: 0 });
}

describe("the page codec", () => {
  it("is frames for old readers where the flag says so, at level 0 and in snapshots", async () => {
    createDatabase(at("flag.db"));
    const place = [at("flag.db"), `file://${at("flag")}`];
    await replicateOnce(...place, "--page-codec", "frame", "--force-snapshot");
    commit("flag.db");
    await replicateOnce(...place, "--page-codec", "frame", "--force-snapshot");
    const files = [...filesOf("flag", 0), ...filesOf("flag", 9)];
    expect(files).toHaveLength(4);
    for (const path of files) {
      const { frames, blocks } = codecsOf(path);
      expect({ path, blocks, hasFrames: frames > 0 }).toEqual({ path, blocks: 0, hasFrames: true });
    }
    expect(await eddy(["restore", place[1], "-o", at("flag-restored.db")])).toMatchObject({
      status: 0,
    });
    expect(rowsOf(at("flag-restored.db"))).toEqual(rowsOf(at("flag.db")));
  });

  it("is what the configuration says, and the flag wins over it", async () => {
    const config = at("codec.yml");
    for (const name of ["own", "other"]) createDatabase(at(`${name}.db`));
    writeFileSync(
      config,
      `page-codec: frame
dbs:
  - path: ${at("own.db")}
    page-codec: block
    replica: { path: ${at("own")} }
  - path: ${at("other.db")}
    replica: { path: ${at("other")} }
`,
    );
    await replicateOnce("--config", config);
    expect(codecsOf(filesOf("own", 0)[0])).toMatchObject({ frames: 0 });
    expect(codecsOf(filesOf("other", 0)[0])).toMatchObject({ blocks: 0 });
    for (const name of ["own", "other"]) commit(`${name}.db`);
    await replicateOnce("--config", config, "--page-codec", "block");
    expect(codecsOf(filesOf("other", 0)[1])).toMatchObject({ frames: 0 });
  });

  it.each([
    [["--page-codec", "zstd"], "block, frame"],
    [["--force-snapshot"], "go with --once"],
    [["--enforce-retention"], "go with --once"],
  ])("%j is refused", async (flags, sentence) => {
    const args = ["replicate", at("app.db"), `file://${at("refused")}`, ...flags];
    expect(await eddy(args)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining(sentence),
    });
  });
});

describe("--force-snapshot and --enforce-retention", () => {
  it("write a snapshot of what is there, once, and delete those that are too old", async () => {
    createDatabase(at("snap.db"));
    const config = at("snap.yml");
    writeFileSync(
      config,
      `snapshot: { retention: 1ms }
l0-retention: 1ms
dbs:
  - path: ${at("snap.db")}
    replica: { path: ${at("snap")} }
`,
    );
    const once = ["--config", config];
    await replicateOnce(...once);
    expect(filesOf("snap", 9)).toEqual([]);
    for (let run = 1; run <= 4; run++) {
      commit("snap.db");
      await replicateOnce(...once, "--force-snapshot");
      expect(filesOf("snap", 9)).toHaveLength(run);
    }
    await replicateOnce(...once, "--force-snapshot");
    expect(filesOf("snap", 9)).toHaveLength(4);
    await replicateOnce(...once, "--enforce-retention");
    // The newest, and the one before it.
    expect(filesOf("snap", 9)).toHaveLength(2);
    const output = at("snap-restored.db");
    expect(await eddy(["restore", `file://${at("snap")}`, "-o", output])).toMatchObject({
      status: 0,
    });
    expect(rowsOf(output)).toEqual(rowsOf(at("snap.db")));
  });
});

describe("status-interval", () => {
  it("has the replica say who writes it, and how far it is", async () => {
    createDatabase(at("status.db"));
    const config = at("status.yml");
    writeFileSync(
      config,
      `l0-retention: 2h
status-interval: 1s
dbs:
  - path: ${at("status.db")}
    replica: { path: ${at("status")} }
`,
    );
    const path = at("status/eddy/status.json");
    await using running = new RunningEddy(["replicate", "--config", config]);
    await expect.poll(() => existsSync(path), { timeout: 20_000 }).toBe(true);
    const status = JSON.parse(readFileSync(path, "utf8")) as Record<string, unknown>;
    expect(status).toMatchObject({
      writer: expect.stringContaining(`:${running.pid}`),
      txid: "0000000000000001",
      retention: { l0: 7_200, snapshot: 86_400 },
    });
    running.signal("SIGTERM");
    expect(await running.result()).toMatchObject({ status: 0 });
  });

  it("is off by default", () => {
    expect(existsSync(at("snap/eddy/status.json"))).toBe(false);
  });
});
