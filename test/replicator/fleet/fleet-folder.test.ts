import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { FleetFixture } from "../../support/fleet-fixture.ts";

const never = new AbortController().signal;

function folderEntry(rest: string): string {
  return `  - {dir: AT/data, pattern: "*.db", ${rest} replica: {path: AT/replicas}}\n`;
}

describe("Fleet with a folder", () => {
  it("takes the databases that match, below the replica by their place in the folder", async () => {
    await using fixture = new FleetFixture();
    for (const name of ["data/a.db", "data/x/y/b.db", "data/c.sqlite"]) {
      fixture.open(name).exec(`INSERT INTO t VALUES ('${name}')`);
    }
    writeFileSync(fixture.at("data/notes.db"), "no database");
    await fixture.run(folderEntry("recursive: true,"));
    expect(fixture.fleet.databases().map(({ path }) => path)).toEqual([
      fixture.at("data/a.db"),
      fixture.at("data/x/y/b.db"),
    ]);
    await fixture.until("notice", "", "notes.db is not a SQLite database: it is left alone");
    for (const name of ["a.db", "x/y/b.db"]) {
      await fixture.sync(`data/${name}`);
      expect((await fixture.restored(`replicas/${name}`)).tables["t"]).toEqual([[`data/${name}`]]);
    }
  });

  it("takes in a database that appears, and lets go of one that is removed", async () => {
    await using fixture = new FleetFixture();
    fixture.open("data/a.db");
    await fixture.run(folderEntry("watch: true,"));
    fixture.open("data/b.db").exec("INSERT INTO t VALUES ('new')");
    await fixture.until("uploaded", "data/b.db");
    await fixture.sync("data/b.db");
    expect((await fixture.restored("replicas/b.db")).tables["t"]).toEqual([["new"]]);
    for (const suffix of ["", "-wal", "-shm"]) {
      rmSync(fixture.at(`data/b.db${suffix}`), { force: true });
    }
    await fixture.until("notice", "", "b.db was removed");
    await expect.poll(() => fixture.fleet.databases().length).toBe(1);
    expect(fixture.said.filter(({ what }) => what === "failure")).toEqual([]);
  });

  it("looks into no file that it has open: that would drop its locks", async () => {
    await using fixture = new FleetFixture();
    // Nothing in this process but the fleet may have it open.
    fixture.open("data/a.db").close();
    await fixture.run(folderEntry("watch: true,"));
    await fixture.sync("data/a.db");
    const { ino } = statSync(fixture.at("data/a.db"));
    const isLocked = () => {
      const locks = readFileSync("/proc/locks", "utf8").split("\n");
      return locks.some((lock) => lock.includes(` ${process.pid} `) && lock.includes(`:${ino} `));
    };
    expect(isLocked()).toBe(true);
    // Another database, so that the folder is looked through again while the first one is open.
    fixture.open("data/b.db");
    await fixture.until("uploaded", "data/b.db");
    expect(isLocked()).toBe(true);
  });

  it("leaves a database alone that another entry has, and keeps staged files where it is told to", async () => {
    await using fixture = new FleetFixture();
    for (const name of ["data/a.db", "data/x/b.db"]) fixture.open(name);
    await fixture.run(
      `  - {path: AT/data/a.db, replica: {path: AT/own}}\n${folderEntry("recursive: true, meta-dir: AT/meta,")}`,
    );
    await fixture.until("notice", "", "data/a.db is left alone: ");
    const [own, found] = fixture.fleet.databases();
    expect(own?.replicaUrl).toBe(`file://${fixture.at("own")}`);
    expect(found?.replicaUrl).toBe(`file://${fixture.at("replicas/x/b.db")}`);
    await fixture.sync("data/x/b.db");
    expect(existsSync(fixture.at("meta/x/b.db-litestream/ltx/0"))).toBe(true);
    expect(existsSync(fixture.at("data/x/.b.db-litestream"))).toBe(false);
  });

  it("takes in the databases of a folder that is made after the start", async () => {
    await using fixture = new FleetFixture();
    await fixture.run(folderEntry("watch: true,"));
    await fixture.until("notice", "", "data cannot be read");
    fixture.open("data/a.db");
    await fixture.until("uploaded", "data/a.db");
  });

  it("leaves a database alone that was unregistered", async () => {
    await using fixture = new FleetFixture();
    fixture.open("data/a.db");
    await fixture.run(folderEntry("watch: true,"));
    await fixture.fleet.unregister(fixture.at("data/a.db"), never);
    fixture.open("data/b.db");
    await fixture.until("uploaded", "data/b.db");
    expect(fixture.fleet.databases().map(({ path }) => path)).toEqual([fixture.at("data/b.db")]);
  });
});
