import { describe, expect, it } from "vitest";
import { refuseOldSqlite } from "../../../replicator/source/sqlite-version.ts";

describe("refuseOldSqlite", () => {
  // Up to 3.51.2 a log can be reset under a process that checkpoints it (SQLite's WAL-reset bug).
  it.each(["3.51.2", "3.51.1", "3.51.0", "3.50.4", "3.46.1", "3.7.0", "3.9.99", "2.99.99", "3.51"])(
    "refuses SQLite %s, which can corrupt a database",
    (version) => {
      expect(() => refuseOldSqlite(version)).toThrow(
        expect.objectContaining({
          code: "BAD_CONFIG",
          message: expect.stringMatching(
            new RegExp(`brings SQLite ${version}; 3\\.51\\.3 or newer is needed.*use Node 24`),
          ),
        }),
      );
    },
  );

  it.each(["3.51.3", "3.51.4", "3.52.0", "3.100.0", "4.0.0", "3.52"])(
    "takes SQLite %s",
    (version) => {
      expect(() => refuseOldSqlite(version)).not.toThrow();
    },
  );

  it.each(["", "unknown"])("refuses a SQLite that does not say what it is: %j", (said) => {
    expect(() => refuseOldSqlite(said)).toThrow(expect.objectContaining({ code: "BAD_CONFIG" }));
  });

  it("takes the SQLite of the Node that runs this", () => {
    expect(() => refuseOldSqlite()).not.toThrow();
  });
});
