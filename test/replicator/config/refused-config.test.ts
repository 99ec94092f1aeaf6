import { describe, expect, it } from "vitest";
import { readConfig } from "../../../replicator/config/read-config.ts";

function read(text: string) {
  return readConfig(text, { name: "eddy.yml", env: {}, expandEnvironment: true });
}

/** The beginning of a database whose replica follows. */
const DB = "dbs:\n  - path: /a.db\n    replica:\n      ";

describe("readConfig refuses", () => {
  it.each([
    ["what is not YAML", "dbs: [", 1, "this is not YAML"],
    ["a list at the top", "- path: /a.db", 1, "is to be a mapping"],
    ["a key that is written wrong", "snapshots:\n  interval: 1h", 1, 'is "snapshot" meant?'],
    ["a key of a database that is written wrong", "dbs:\n  - pth: /a", 2, 'is "path" meant?'],
    ["a key that is nothing like another", "colour: red", 1, "known here are dbs, addr"],
    ["a key that is written twice", "addr: a\naddr: b", 2, "this is not YAML"],
    ["an MCP server", "mcp-addr: :3001", 1, "Eddy has no MCP server"],
    ["encryption", `${DB}age: {}`, 4, "nothing would be encrypted"],
    ["another cloud", `${DB}url: gs://b/p`, 4, '"gs" is one of Litestream\'s stores'],
    ["another kind of server", `${DB}type: sftp`, 4, '"sftp" is one of Litestream\'s stores'],
    ["a type of nobody's", `${DB}type: s4`, 4, 'no store of type "s4"'],
    ["another store's key", `${DB}account-key: x`, 4, "Azure store (abs)"],
    ["retention where 0.3 had it", `${DB}retention: 24h`, 4, "write `snapshot: { retention: … }`"],
    ["certificates that nobody checks", `skip-verify: true\n${DB}url: s3://b/p`, 1, "always"],
    ["a URL as a path", `${DB}path: s3://b/p`, 4, 'write it as "url"'],
    ["a path twice", `${DB}url: file:///b\n      path: /c`, 5, "in the URL already"],
    ["a bucket without a type", `${DB}bucket: b`, 4, 'write "type: s3"'],
    ["a replica that is nowhere", `${DB}sync-interval: 1s`, 3, "the replica is nowhere"],
    ["a bucket without a path", `${DB}type: s3\n      bucket: b`, 5, "names no path in bucket"],
    ["a URL that is none", `${DB}url: s3://b/p?enpoint=x`, 4, 'is "endpoint" meant?'],
    ["a size that is none", `${DB}url: s3://b/p\n      part-size: big`, 5, "is no size"],
    ["a duration without a unit", `${DB}sync-interval: 10\n      path: /b`, 4, "with its unit"],
    ["no duration at all", "snapshot:\n  interval: 0s", 2, "more than nothing"],
    ["a heartbeat too often", "heartbeat-interval: 10s", 1, "60 s at least"],
    ["a heartbeat to nowhere", "heartbeat-url: ping", 1, "no http(s):// address"],
    ["a flag that is none", "lease: maybe", 1, "can only be true or false"],
    ["a level without an interval", "levels:\n  - {}", 2, "the level has no interval"],
    ["a level of logs", "logging:\n  level: loud", 2, "trace, debug, info, warn, error"],
    ["permissions that are not octal", "socket:\n  permissions: 0999", 2, "octal, such as 0600"],
    ["a database without a place", "dbs:\n  - watch: true", 2, "there is no database"],
    ["a database that is a folder", "dbs:\n  - path: /a\n    dir: /b", 2, "and not both"],
    ["a database without a replica", "dbs:\n  - path: /a", 2, "has no replica"],
    ["a folder without a pattern", "dbs:\n  - dir: /a\n    replica: {path: /b}", 2, "no pattern"],
    [
      "a pattern without an end",
      "dbs:\n  - dir: /a\n    pattern: '[a'\n    replica: {path: /b}",
      3,
      "is not complete",
    ],
    [
      "two replicas",
      "dbs:\n  - path: /a\n    replicas:\n      - path: /b\n      - path: /c",
      5,
      "a database has one replica",
    ],
    [
      "a replica in both spellings",
      "dbs:\n  - path: /a\n    replica: {path: /b}\n    replicas: [{path: /c}]",
      4,
      "exclude each other",
    ],
    [
      "two entries for one database",
      "dbs:\n  - {path: /a, replica: {path: /b}}\n  - {path: /x/../a, replica: {path: /c}}",
      3,
      "the database is that of line 2 already: /a",
    ],
    [
      "two databases for one staging directory",
      "dbs:\n  - {path: /a, meta-path: /m, replica: {path: /c}}\n  - {path: /b, meta-path: /m/, replica: {path: /d}}",
      3,
      "the staging directory is that of line 2 already: /m",
    ],
    [
      "two databases for one replica, however it is spelled",
      "dbs:\n  - {path: /a, replica: {url: 's3://b/p?region=auto&endpoint=http://h'}}\n  - {path: /b, replica: {type: s3, bucket: b, path: p, endpoint: 'http://H'}}",
      3,
      "the replica is that of line 2 already",
    ],
  ])("%s, naming line and remedy", (_name, text, line, message) => {
    expect(() => read(text)).toThrow(
      expect.objectContaining({
        code: "BAD_CONFIG",
        message: expect.stringMatching(new RegExp(`^eddy.yml, line ${line}: `)),
      }),
    );
    expect(() => read(text)).toThrow(message);
  });
});
