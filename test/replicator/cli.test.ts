import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { eddy } from "../support/eddy-cli.ts";
import { freePort } from "../support/free-port.ts";
import { startLocalR2, type LocalR2 } from "../support/local-r2.ts";

import { createCliFixture, createDatabase, rowsOf } from "../support/cli-fixture.ts";

const { folder, at, replicaUrl, remove } = await createCliFixture();
afterAll(remove);

describe("eddy", () => {
  it("teaches by its help, with examples, URLs and exit codes", async () => {
    const { status, stdout } = await eddy(["--help"]);
    expect(status).toBe(0);
    for (const word of ["replicate", "restore", "r2://", "Exit codes", "AWS_ACCESS_KEY_ID"]) {
      expect(stdout).toContain(word);
    }
    const restore = await eddy(["restore", "--help"]);
    expect(restore.stdout).toContain("Examples:");
  });

  it.each([
    ["an unknown command", ["replcate"], "unknown command 'replcate'"],
    ["a missing argument", ["restore"], "missing required argument 'url'"],
    ["an unknown flag", ["restore", replicaUrl, "--timestmap", "-1d"], "Did you mean --timestamp"],
    [
      "a flag value that is none of the choices",
      ["restore", replicaUrl, "--integrity-check", "no"],
      "Allowed choices are none, quick, full",
    ],
    ["no output file", ["restore", replicaUrl], "Name the file with -o PATH"],
    [
      "a TXID and a moment at once",
      ["restore", replicaUrl, "-o", "x", "--txid", "txid:1", "--timestamp", "-1d"],
      "exclude each other",
    ],
    [
      "a malformed TXID",
      ["restore", replicaUrl, "-o", "x", "--txid", "12"],
      "names no point in time",
    ],
    [
      "a malformed moment",
      ["restore", replicaUrl, "-o", "x", "--timestamp", "yesterday"],
      "names no point in time",
    ],
    [
      "a TXID as a moment",
      ["restore", replicaUrl, "-o", "x", "--timestamp", "txid:1"],
      "is no instant",
    ],
    ["a URL of no known kind", ["restore", "ftp://host/x", "-o", "x"], "ftp"],
    [
      "a store without credentials",
      ["restore", "s3://bucket/path?region=auto&endpoint=http://127.0.0.1:9", "-o", "x"],
      "AWS_ACCESS_KEY_ID",
    ],
  ])("refuses %s with exit code 2", async (_name, args, message) => {
    const { status, stdout, stderr } = await eddy(args);
    expect(stderr).toContain(message);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
  });

  it("says what went wrong as JSON when it is asked for JSON", async () => {
    const { status, stdout } = await eddy([
      "restore",
      replicaUrl,
      "-o",
      at("x.db"),
      "--txid",
      "txid:9",
      "--json",
    ]);
    expect(status).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({
      code: "TXID_TOO_NEW",
      neighbours: { before: "0000000000000002" },
    });
  });
});

describe("eddy replicate", () => {
  it.each([
    ["a file that is not there", "missing.db", undefined, "there is no such file"],
    ["an empty file", "empty.db", Buffer.alloc(0), "is empty"],
    [
      "a file that is no database",
      "text.db",
      Buffer.from("hello, world. ".repeat(500)),
      "not a SQLite database",
    ],
    ["an encrypted database", "encrypted.db", randomBytes(8_192), "encrypted"],
  ])("refuses %s and leaves it as it was", async (_name, name, content, message) => {
    if (content) writeFileSync(at(name), content);
    const { status, stderr } = await eddy([
      "replicate",
      at(name),
      `file://${at("none")}`,
      "--once",
    ]);
    expect(stderr).toContain(message);
    expect(stderr).toContain(at(name));
    expect(status).toBe(1);
    if (content) expect(readFileSync(at(name)).equals(content)).toBe(true);
    expect(existsSync(at("none"))).toBe(false);
  });

  it("refuses a folder", async () => {
    const { status, stderr } = await eddy(["replicate", folder, `file://${at("none")}`, "--once"]);
    expect(stderr).toContain("is a folder");
    expect(status).toBe(1);
  });

  it("switches a database with a rollback journal to WAL, and says so", async () => {
    createDatabase(at("journal.db"), "delete");
    const url = `file://${at("journal-replica")}`;
    const { status, stderr } = await eddy(["replicate", at("journal.db"), url, "--once"]);
    expect(status).toBe(0);
    expect(stderr).toContain("is in WAL mode now");
    expect(readFileSync(at("journal.db")).subarray(18, 20)).toEqual(Buffer.from([2, 2]));
  });

  it("says why a database that somebody holds cannot be switched to WAL", async () => {
    createDatabase(at("held.db"), "delete");
    const holder = new DatabaseSync(at("held.db"));
    holder.exec("BEGIN IMMEDIATE");
    const { status, stderr } = await eddy([
      "replicate",
      at("held.db"),
      `file://${at("none")}`,
      "--once",
    ]);
    holder.close();
    expect(stderr).toContain("an application holds it");
    expect(status).toBe(1);
  });

  it("prints one JSON object for each event", async () => {
    createDatabase(at("events.db"));
    const url = `file://${at("events-replica")}`;
    const { stdout } = await eddy(["replicate", at("events.db"), url, "--once", "--json"]);
    const events = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { event: string });
    expect(events.map(({ event }) => event)).toEqual([
      "started",
      "staged",
      "uploaded",
      "bundle-written",
      "stopped",
    ]);
    expect(events.at(-1)).toMatchObject({ uploaded_txid: "0000000000000001", waiting: 0 });
  });

  it("keeps what a store that does not answer cannot take, and says so", async () => {
    createDatabase(at("offline.db"));
    const url = `s3://bucket/path?region=auto&endpoint=http://127.0.0.1:${await freePort()}`;
    const env = { AWS_ACCESS_KEY_ID: "key", AWS_SECRET_ACCESS_KEY: "secret" };
    const { status, stderr } = await eddy(["replicate", at("offline.db"), url, "--once"], env);
    expect(status).toBe(1);
    expect(stderr).toContain("ECONNREFUSED");
    expect(rowsOf(at("offline.db"))).toHaveLength(2);
  });
});

describe("eddy with the S3 API", () => {
  let r2: LocalR2;
  beforeAll(async () => {
    r2 = await startLocalR2();
  });
  afterAll(() => r2.close());

  it("replicates to a bucket and restores from it", async () => {
    const url = r2.storeUrl("prod/app.db");
    createDatabase(at("bucket.db"));
    expect(await eddy(["replicate", at("bucket.db"), url, "--once"], r2.env)).toMatchObject({
      status: 0,
    });
    const { objects } = await r2.binding.list({ include: ["customMetadata"] });
    expect(objects.map(({ key }) => key)).toEqual([
      "prod/app.db/0000/0000000000000001-0000000000000001.ltx",
      expect.stringMatching(/^prod\/app\.db\/eddy\/base-0000000000000001-[0-9a-f]{16}$/),
      "prod/app.db/eddy/head",
      "prod/app.db/lock.json",
    ]);
    expect(objects[0]?.customMetadata?.["litestream-timestamp"]).toMatch(/^\d{4}-.*Z$/);
    expect(await eddy(["restore", url, "-o", at("from-s3.db")], r2.env)).toMatchObject({
      status: 0,
    });
    expect(rowsOf(at("from-s3.db"))).toEqual(rowsOf(at("bucket.db")));
  });

  it("says whose the path is with exit code 5, but takes no lease when it is told so", async () => {
    const url = r2.storeUrl("leased/app.db");
    createDatabase(at("leased.db"));
    const expiresAt = new Date(Date.now() + 20_000).toISOString();
    const lease = { generation: 4, expires_at: expiresAt, owner: "elsewhere:77" };
    await r2.binding.put("leased/app.db/lock.json", JSON.stringify(lease));
    const replicate = ["replicate", at("leased.db"), url, "--once"];
    const { status, stderr } = await eddy(replicate, r2.env);
    expect(stderr).toContain(`belongs to elsewhere:77 until ${expiresAt}: stop that one`);
    expect(status).toBe(5);
    expect(await eddy([...replicate, "--no-lease"], r2.env)).toMatchObject({ status: 0 });
    const left = await r2.binding.get("leased/app.db/lock.json");
    expect(JSON.parse((await left?.text()) ?? "")).toEqual(lease);
  });

  it("ships to a second place the history that is still here", async () => {
    const url = r2.storeUrl("second/app.db");
    expect(await eddy(["replicate", at("app.db"), url, "--once"], r2.env)).toMatchObject({
      status: 0,
    });
    const first = ["restore", url, "-o", at("first.db"), "--txid", "txid:1"];
    expect(await eddy(first, r2.env)).toMatchObject({ status: 0 });
    expect(rowsOf(at("first.db"))).toHaveLength(2);
    const latest = ["restore", url, "-o", at("latest.db")];
    expect(await eddy(latest, r2.env)).toMatchObject({ status: 0 });
    expect(rowsOf(at("latest.db"))).toEqual(rowsOf(at("app.db")));
  });

  it("says what to check when the credentials are wrong", async () => {
    const env = { ...r2.env, AWS_SECRET_ACCESS_KEY: "wrong" };
    const args = ["restore", r2.storeUrl("prod/app.db"), "-o", at("denied.db")];
    const { status, stderr } = await eddy(args, env);
    expect(stderr).toMatch(/secret access key|credentials|signature/i);
    expect(status).toBe(1);
    expect(existsSync(at("denied.db"))).toBe(false);
  });
});
