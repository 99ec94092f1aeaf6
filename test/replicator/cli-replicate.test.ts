import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { afterAll, describe, expect, it } from "vitest";
import { createCliFixture, createDatabase, rowsOf } from "../support/cli-fixture.ts";
import { eddy } from "../support/eddy-cli.ts";
import { RunningEddy } from "../support/running-eddy.ts";

const { at, replicaUrl, remove } = await createCliFixture();
afterAll(remove);

/** Writes a configuration file in which AT is the folder. */
function configure(name: string, yaml: string): string {
  writeFileSync(at(name), yaml.replaceAll("AT", at("").replace(/\/$/, "")));
  return at(name);
}

async function restoredRows(replica: string): Promise<unknown[]> {
  const output = at(`restored-${Math.random()}`);
  expect(await eddy(["restore", `file://${at(replica)}`, "-o", output])).toMatchObject({
    status: 0,
  });
  return rowsOf(output);
}

function insert(name: string, body: string): void {
  const database = new DatabaseSync(at(name));
  database.prepare("INSERT INTO t (body) VALUES (?)").run(body);
  database.close();
}

/** A command that runs JavaScript. */
function node(script: string): string {
  return `${process.execPath} -e '${script}'`;
}

describe("eddy replicate with a configuration file", () => {
  it("ships every database of it once, and lists them", async () => {
    for (const name of ["one.db", "two.db"]) createDatabase(at(name));
    const config = configure(
      "once.yml",
      `dbs:
  - path: AT/one.db
    replica: { path: AT/once/one }
  - dir: AT
    pattern: tw?.db
    monitor-interval: 1s
    replica: { path: AT/once }
`,
    );
    const { status, stderr } = await eddy(["replicate", "-config", config, "-once"]);
    expect(status).toBe(0);
    expect(stderr).toContain(`line 6: "monitor-interval" has no effect`);
    expect(stderr).toContain(`replicating ${at("one.db")} to file://`);
    for (const name of ["one", "two.db"])
      expect(await restoredRows(`once/${name}`)).toHaveLength(2);

    const listed = await eddy(["databases", "--json"], { LITESTREAM_CONFIG: config });
    expect(JSON.parse(listed.stdout)).toEqual([
      { path: at("one.db"), replica: "file", url: `file://${at("once/one")}` },
      { path: at("two.db"), replica: "file", url: `file://${at("once/two.db")}` },
    ]);
    const table = await eddy(["databases", "--config", config]);
    expect(table.stdout).toMatch(/^path +replica +url\n/);
  });

  it.each([
    [
      "a configuration that is not there",
      ["replicate", "--config", "/nowhere.yml"],
      "/nowhere.yml",
    ],
    ["a database without its URL", ["replicate", "/app.db"], "Name the replica's URL"],
    [
      "a database beside a configuration",
      ["replicate", "/app.db", "file:///b", "--config", "x.yml"],
      "exclude each other",
    ],
    [
      "a command that would run once",
      ["replicate", "/app.db", "file:///b", "--once", "--exec", "true"],
      "exclude each other",
    ],
    ["a command of nothing", ["replicate", "/app.db", "file:///b", "--exec", " "], "is empty"],
    [
      "a command without its end",
      ["replicate", "/app.db", "file:///b", "--exec", "echo 'x"],
      "a quote without an end",
    ],
    ["a level of logs", ["replicate", "--log-level", "loud"], "Allowed choices are trace, debug"],
  ])("refuses %s with exit code 2", async (_name, args, message) => {
    const { status, stderr } = await eddy(args);
    expect(stderr).toContain(message);
    expect(status).toBe(2);
  });

  it("refuses a file with a slip of the pen, and one without a database", async () => {
    const slip = configure("slip.yml", "dbs:\n  - path: /a\n    replcia: {}\n");
    expect(await eddy(["replicate", "--config", slip])).toMatchObject({
      status: 2,
      stderr: `eddy: ${slip}, line 3: "replcia" is not a key that is known here; is "replica" meant?\n`,
    });
    const nothing = configure("nothing.yml", "addr: :9090\n");
    const { status, stderr } = await eddy(["databases", "--config", slip]);
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining("line 3") });
    expect((await eddy(["replicate", "--config", nothing])).stderr).toContain("names no database");
  });

  it("logs as JSON where no terminal is, and ends by a signal with all shipped", async () => {
    createDatabase(at("log.db"));
    const config = configure("log.yml", "dbs: [{path: AT/log.db, replica: {path: AT/logged}}]");
    await using running = new RunningEddy(["replicate", "--config", config, "--verbose"]);
    await running.until("TXID 0000000000000001 is in the store");
    insert("log.db", "late");
    running.signal("SIGTERM");
    const { status, stderr } = await running.result();
    expect(status).toBe(0);
    const lines = stderr.trim().split("\n");
    const log = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(log[0]).toMatchObject({
      level: "info",
      event: "started",
      db: at("log.db"),
      msg: expect.stringContaining("replicating"),
      pid: running.pid,
      time: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    expect(log.map(({ event }) => event)).toContain("uploaded");
    expect(log.at(-1)).toMatchObject({ event: "stopped", waiting: 0 });
    expect(await restoredRows("logged")).toHaveLength(3);
  });

  it("logs where and what the file says", async () => {
    createDatabase(at("text.db"));
    const config = configure(
      "text.yml",
      `logging: { type: text, stderr: false, level: warn }
dbs: [{path: AT/text.db, replica: {path: AT/texted}}, {path: AT/broken.db, replica: {path: AT/b}}]`,
    );
    writeFileSync(at("broken.db"), "no database. ".repeat(500));
    await using running = new RunningEddy(["replicate", "--config", config]);
    await running.until("Next try in 1000 ms");
    await expect
      .poll(() => existsSync(at("texted/ltx/0/0000000000000001-0000000000000001.ltx")), {
        timeout: 20_000,
      })
      .toBe(true);
    running.signal("SIGINT");
    const { status, stdout, stderr } = await running.result();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    for (const line of stdout.trim().split("\n")) expect(line).toContain("broken.db: ");
  });
});

describe("eddy replicate --restore-if-db-not-exists", () => {
  const flag = "--restore-if-db-not-exists";

  it("brings the database back before it goes on with it", async () => {
    const { status, stderr } = await eddy([
      "replicate",
      flag,
      at("again.db"),
      replicaUrl,
      "--once",
    ]);
    expect(stderr).toContain("it is restored at TXID 0000000000000002");
    expect(status).toBe(0);
    expect(rowsOf(at("again.db"))).toHaveLength(3);
  });

  it("leaves a database that is there as it is", async () => {
    createDatabase(at("there.db"));
    const before = readFileSync(at("there.db"));
    const url = `file://${at("there-replica")}`;
    expect(await eddy(["replicate", flag, at("there.db"), url, "--once"])).toMatchObject({
      status: 0,
    });
    expect(readFileSync(at("there.db")).equals(before)).toBe(true);
  });

  it("says that there is nothing to restore, and then that there is no database", async () => {
    const url = `file://${at("empty-replica")}`;
    const { status, stderr } = await eddy(["replicate", flag, at("none.db"), url, "--once"]);
    expect(stderr).toContain("nothing to restore");
    expect(stderr).toContain("there is no such file");
    expect(status).toBe(1);
  });
});

describe("eddy replicate --exec", () => {
  it("ends with the command's exit code, all that it wrote being shipped", async () => {
    createDatabase(at("exec.db"));
    const script = `
      const { DatabaseSync } = require("node:sqlite");
      new DatabaseSync("${at("exec.db")}").exec("INSERT INTO t (body) VALUES (1)");
      process.exit(7);`;
    const url = `file://${at("exec-replica")}`;
    const args = ["replicate", "--exec", node(script), at("exec.db"), url];
    const { status, stderr } = await eddy(args);
    expect(stderr).toContain("is safely in the store");
    expect(status).toBe(7);
    expect(await restoredRows("exec-replica")).toHaveLength(3);
  });

  it("lets the command make the database that is to be replicated", async () => {
    const script = `
      const { DatabaseSync } = require("node:sqlite");
      const database = new DatabaseSync("${at("made.db")}");
      database.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT); INSERT INTO t (body) VALUES (1)");
      const { existsSync } = require("node:fs");
      const stored = "${at("made-replica/ltx/0/0000000000000001-0000000000000001.ltx")}";
      setInterval(() => existsSync(stored) && process.exit(0), 20);`;
    const url = `file://${at("made-replica")}`;
    const { status } = await eddy(["replicate", "--exec", node(script), at("made.db"), url]);
    expect(status).toBe(0);
    expect(await restoredRows("made-replica")).toHaveLength(1);
  });

  it.each([
    ["SIGTERM", 41],
    ["SIGINT", 42],
  ] as const)("passes %s on, and waits for the command's own end", async (name, code) => {
    createDatabase(at(`${name}.db`));
    const script = `
      process.on("SIGTERM", () => process.exit(41));
      process.on("SIGINT", () => process.exit(42));
      setInterval(() => undefined, 1000);
      console.log("the command runs");`;
    const url = `file://${at(`${name}-replica`)}`;
    const args = ["replicate", "--exec", node(script), at(`${name}.db`), url];
    await using running = new RunningEddy(args);
    await running.until("the command runs");
    running.signal(name);
    expect(await running.result()).toMatchObject({ status: code });
    expect(await restoredRows(`${name}-replica`)).toHaveLength(2);
  });

  it("ends at once by the second signal, and takes the command along", async () => {
    createDatabase(at("twice.db"));
    const script = `
      process.on("SIGTERM", () => console.log("not yet"));
      setInterval(() => undefined, 1000);
      console.log("command " + process.pid + " runs");`;
    const url = `file://${at("twice-replica")}`;
    await using running = new RunningEddy([
      "replicate",
      "--exec",
      node(script),
      at("twice.db"),
      url,
    ]);
    await running.until(" runs");
    running.signal("SIGTERM");
    await running.until("not yet");
    running.signal("SIGTERM");
    const { status, stdout } = await running.result();
    expect(status).toBe(130);
    const pid = /command (\d+) runs/.exec(stdout)?.[1];
    await expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 20_000 }).toBe(false);
  });

  it("does not begin a command beside a database that cannot be replicated", async () => {
    writeFileSync(at("bad.db"), "no database. ".repeat(500));
    const url = `file://${at("bad-replica")}`;
    const exec = node('console.log("the command runs")');
    const { status, stdout, stderr } = await eddy(["replicate", "--exec", exec, at("bad.db"), url]);
    expect(stderr).toContain("not a SQLite database");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  });

  it("says of a command that cannot be run that it cannot", async () => {
    createDatabase(at("norun.db"));
    const url = `file://${at("norun-replica")}`;
    const { status, stderr } = await eddy(["replicate", "--exec", "/no/such", at("norun.db"), url]);
    expect(stderr).toContain('cannot execute "/no/such"');
    expect(status).toBe(2);
    rmSync(at("norun.db"));
  });
});
