import { randomBytes } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { eddy } from "../support/eddy-cli.ts";

import { createCliFixture, rowsOf } from "../support/cli-fixture.ts";

const { folder, at, replicaUrl, remove } = await createCliFixture();
afterAll(remove);
const FIRST = at("replica/ltx/0/0000000000000001-0000000000000001.ltx");

describe("eddy restore", () => {
  it("writes the latest state, and an earlier one by TXID, with Litestream's single dashes too", async () => {
    expect(await eddy(["restore", replicaUrl, "-o", at("latest.db")])).toMatchObject({ status: 0 });
    const args = ["restore", "-txid", "0000000000000001", "-o", at("first.db"), replicaUrl];
    expect(await eddy(args)).toMatchObject({ status: 0 });
    expect(readdirSync(folder).filter((name) => /^(latest|first)\.db./.test(name))).toEqual([]);
    expect(rowsOf(at("latest.db"))).toHaveLength(3);
    expect(rowsOf(at("first.db"))).toHaveLength(2);
  });

  it("prints what it did as JSON with Litestream's names", async () => {
    const { stdout } = await eddy(["restore", replicaUrl, "-o", at("json.db"), "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({
      db_path: at("json.db"),
      replica: replicaUrl,
      txid: "0000000000000002",
      integrity_check: "quick",
    });
  });

  it("shows its plan and writes nothing on a dry run", async () => {
    const args = ["restore", replicaUrl, "-o", at("dry.db"), "--dry-run", "--json"];
    const { stdout } = await eddy(args);
    expect(JSON.parse(stdout)).toMatchObject({
      max_txid: "0000000000000002",
      files: [
        { level: 0, min_txid: "0000000000000001" },
        { level: 0, min_txid: "0000000000000002" },
      ],
    });
    expect(existsSync(at("dry.db"))).toBe(false);
  });

  it("overwrites nothing: neither the file nor a log that would be taken for its", async () => {
    writeFileSync(at("there.db"), "mine");
    const refused = await eddy(["restore", replicaUrl, "-o", at("there.db")]);
    expect(refused.stderr).toContain("exists already");
    expect(refused.status).toBe(1);
    expect(readFileSync(at("there.db"), "utf8")).toBe("mine");
    writeFileSync(at("log.db-wal"), "a log");
    const besideLog = await eddy(["restore", replicaUrl, "-o", at("log.db")]);
    expect(besideLog.stderr).toContain("log.db-wal exists already");
    expect(existsSync(at("log.db"))).toBe(false);
    expect(await eddy(["restore", replicaUrl, "-o", at("there.db"), "--force"])).toMatchObject({
      status: 0,
    });
    expect(rowsOf(at("there.db"))).toHaveLength(3);
  });

  it("writes over an empty file, and makes the folder that is missing, as Litestream does", async () => {
    writeFileSync(at("empty.db"), "");
    for (const name of ["empty.db", "new/folders/restored.db"]) {
      expect(await eddy(["restore", replicaUrl, "-o", at(name)])).toMatchObject({ status: 0 });
      expect(rowsOf(at(name))).toHaveLength(3);
    }
    writeFileSync(at("skipped.db"), "");
    const args = ["restore", replicaUrl, "-o", at("skipped.db"), "-if-db-not-exists"];
    expect(await eddy(args)).toMatchObject({ status: 0 });
    expect(readFileSync(at("skipped.db"), "utf8")).toBe("");
  });

  it.each([
    ["a number of requests that is none", ["--parallelism", "many"], "--parallelism is a number"],
    ["a dry run that follows", ["--dry-run", "-f"], "exclude each other"],
    ["two moments", ["--txid", "txid:1", "--timestamp", "-1s"], "exclude each other"],
    ["a check that does not exist", ["--integrity-check", "half"], "none, quick, full"],
    ["no output", [], "Name the file with -o PATH"],
    ["an output without a name", ["-o", ""], "Name the file with -o PATH"],
  ])("refuses %s as a mistake on the command line", async (_name, flags, message) => {
    const output = flags.length > 0 ? ["-o", at("refused.db")] : [];
    const { status, stderr } = await eddy(["restore", replicaUrl, ...output, ...flags]);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });

  it("does nothing, successfully, with --if-db-not-exists and --if-replica-exists", async () => {
    writeFileSync(at("kept.db"), "mine");
    const kept = await eddy(["restore", replicaUrl, "-o", at("kept.db"), "-if-db-not-exists"]);
    expect(kept.status).toBe(0);
    expect(readFileSync(at("kept.db"), "utf8")).toBe("mine");
    const args = ["restore", `file://${at("nowhere")}`, "-o", at("no.db"), "-if-replica-exists"];
    expect(await eddy(args)).toMatchObject({ status: 0 });
    expect(existsSync(at("no.db"))).toBe(false);
  });

  it.each([
    ["an unknown TXID", ["--txid", "txid:77"], 3, "is beyond the newest, 0000000000000002"],
    [
      "a moment before the first",
      ["--timestamp", "2020-01-01T00:00:00Z"],
      3,
      "is before the first moment",
    ],
  ])("refuses %s", async (_name, flags, status, message) => {
    const result = await eddy(["restore", replicaUrl, "-o", at("refused.db"), ...flags]);
    expect(result.stderr).toContain(message);
    expect(result.status).toBe(status);
    expect(existsSync(at("refused.db"))).toBe(false);
  });

  it("names Litestream 0.3 where there is nothing newer, and says how to upgrade", async () => {
    mkdirSync(at("legacy/generations/0123456789abcdef/snapshots"), { recursive: true });
    writeFileSync(at("legacy/generations/0123456789abcdef/snapshots/00000000.snapshot.lz4"), "x");
    const result = await eddy(["restore", `file://${at("legacy")}`, "-o", at("refused.db")]);
    expect(result.stderr).toMatch(/Litestream 0\.3.*upgrade/);
    expect(result.status).toBe(3);
  });

  it("says what it looked for where there is no LTX file", async () => {
    mkdirSync(at("bare"));
    const result = await eddy(["restore", `file://${at("bare")}`, "-o", at("refused.db")]);
    expect(result.stderr).toContain(`there is no LTX file below ${at("bare")}`);
    expect(result.status).toBe(3);
  });

  it.each([
    ["truncated", (bytes: Buffer) => bytes.subarray(0, bytes.length - 20)],
    ["damaged in a page", (bytes: Buffer) => flip(bytes, 150)],
    ["damaged in its index", (bytes: Buffer) => flip(bytes, bytes.length - 30)],
    ["damaged in its checksum", (bytes: Buffer) => flip(bytes, bytes.length - 1)],
    ["a file of something else", () => randomBytes(4_096)],
  ])(
    "names an LTX file that is %s, with exit code 4, and leaves nothing behind",
    async (name, damage) => {
      const damaged = at(`damaged ${name}`);
      mkdirSync(join(damaged, "ltx/0"), { recursive: true });
      const ltx = join(damaged, "ltx/0/0000000000000001-0000000000000001.ltx");
      copyFileSync(FIRST, ltx);
      writeFileSync(ltx, damage(readFileSync(ltx)));
      const result = await eddy([
        "restore",
        `file://${encodeURI(damaged)}`,
        "-o",
        at("refused.db"),
      ]);
      expect(result.stderr).toContain("0000000000000001-0000000000000001.ltx");
      expect(result.status).toBe(4);
      expect(readdirSync(folder).filter((entry) => entry.startsWith("refused.db"))).toEqual([]);
    },
  );
});

function flip(bytes: Buffer, offset: number): Buffer {
  bytes[offset] = (bytes[offset] ?? 0) ^ 1;
  return bytes;
}
