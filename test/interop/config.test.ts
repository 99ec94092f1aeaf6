import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createDatabase, rowsOf } from "../support/cli-fixture.ts";
import { eddy } from "../support/eddy-cli.ts";
import { litestream } from "../support/litestream.ts";

let folder: string;
const at = (name: string) => join(folder, name);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-interop-config-"));
  for (const name of ["app.db", "one.sqlite", "two.sqlite"]) createDatabase(at(name));
  writeFileSync(
    at("litestream.yml"),
    `# Both read this one.
snapshot: { interval: 1h, retention: 24h }
l0-retention: 5m
dbs:
  - path: \${FOLDER}/app.db
    meta-path: \${FOLDER}/meta/app
    checkpoint-interval: 1m
    replica:
      type: file
      path: \${FOLDER}/replicas/app
      sync-interval: 1s
  - dir: $FOLDER
    pattern: "[a-z]*.sqlite"
    meta-path: $FOLDER/meta
    replica:
      url: file://\${FOLDER}/replicas/all
`,
  );
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Folders that hold LTX files. */
function placesOf(below: string): string[] {
  const entries = readdirSync(at(below), { recursive: true, withFileTypes: true });
  const files = entries.filter(({ name }) => name.endsWith(".ltx"));
  return [...new Set(files.map(({ parentPath }) => parentPath.slice(folder.length)))]
    .filter((place) => place.endsWith("/0"))
    .toSorted((a, b) => (a < b ? -1 : 1));
}

function insert(name: string): void {
  const database = new DatabaseSync(at(name));
  database.exec("INSERT INTO t (body) VALUES ('more')");
  database.close();
}

describe("one litestream.yml", () => {
  it.each(["Litestream, then Eddy", "Eddy, then Litestream"])(
    "means the same places to both: %s",
    async (order) => {
      const args = ["-config", at("litestream.yml")];
      const env = { FOLDER: folder };
      const theirs = () => litestream(["replicate", ...args, "-once"], env);
      const ours = () => eddy(["replicate", ...args, "-once"], env);
      const [first, second] = order.startsWith("Eddy") ? [ours, theirs] : [theirs, ours];
      expect(await first()).toMatchObject({ status: 0 });
      const places = { replicas: placesOf("replicas"), meta: placesOf("meta") };
      for (const name of ["app.db", "one.sqlite"]) insert(name);
      expect(await second()).toMatchObject({ status: 0 });
      expect({ replicas: placesOf("replicas"), meta: placesOf("meta") }).toEqual(places);
      expect(places.replicas).toHaveLength(3);
      for (const [replica, name] of [
        ["app", "app.db"],
        ["all/one.sqlite", "one.sqlite"],
        ["all/two.sqlite", "two.sqlite"],
      ] as const) {
        const output = at(`restored-${name}`);
        const { status } = litestream([
          "restore",
          "-o",
          output,
          `file://${at(`replicas/${replica}`)}`,
        ]);
        expect(status).toBe(0);
        expect(rowsOf(output)).toEqual(rowsOf(at(name)));
      }
    },
  );
});
