import { homedir } from "node:os";
import { describe, expect, it } from "vitest";
import { readConfig } from "../../../replicator/config/read-config.ts";
import { identityOf, replicaBelow } from "../../../replicator/config/replica-place.ts";

const ENV = { BUCKET: "prod", SECRET: "a#b: $c", EMPTY: "" };

function read(text: string, expandEnvironment = true) {
  return readConfig(text, { name: "eddy.yml", env: ENV, expandEnvironment });
}

/** One database with this replica, written as the lines below `replica:`. */
function withReplica(...lines: readonly string[]) {
  const body = lines.map((line) => `      ${line}`).join("\n");
  return read(`dbs:\n  - path: /data/app.db\n    replica:\n${body}\n`).databases[0].replica;
}

const NOTHING = {
  syncIntervalMs: undefined,
  levelIntervalsMs: undefined,
  snapshotIntervalMs: undefined,
  snapshotRetentionMs: undefined,
  l0RetentionMs: undefined,
  retentionEnabled: undefined,
  lease: undefined,
  restoreIfMissing: false,
};

describe("readConfig", () => {
  it("reads a file in which everything is said", () => {
    const config = read(`
addr: ":9090"
exec: "node server.js --port 80"
socket: { enabled: true, path: /run/eddy.sock, permissions: 0660 }
levels:
  - interval: 10s
  - interval: 2m
snapshot: { interval: 1h, retention: 72h }
l0-retention: 10m
retention: { enabled: false }
verify-compaction: true
heartbeat-url: https://example.com/ping
heartbeat-interval: 10m
logging: { level: DEBUG, type: json, stderr: true }
lease: true
access-key-id: shared-id
secret-access-key: shared-secret
region: auto
dbs:
  - path: /data/app.db
    restore-if-db-not-exists: true
    snapshot: { retention: 1d }
    lease: false
    replica:
      url: s3://\${BUCKET}/app?endpoint=http://127.0.0.1:9000
      sync-interval: 250ms
  - dir: /data/tenants
    pattern: "*.db"
    recursive: true
    watch: true
    meta-dir: /var/lib/eddy
    replica:
      type: s3
      bucket: tenants
      path: all
      endpoint: http://127.0.0.1:9000
      access-key-id: own-id
      secret-access-key: own-secret
`);
    const settings = {
      ...NOTHING,
      levelIntervalsMs: [10_000, 120_000],
      snapshotIntervalMs: 3_600_000,
      snapshotRetentionMs: 259_200_000,
      l0RetentionMs: 600_000,
      retentionEnabled: false,
      lease: true,
    };
    expect(config).toEqual({
      databases: [
        {
          ...settings,
          path: "/data/app.db",
          stagingFolder: undefined,
          syncIntervalMs: 250,
          snapshotRetentionMs: 86_400_000,
          lease: false,
          restoreIfMissing: true,
          replica: {
            url: "s3://prod/app?endpoint=http%3A%2F%2F127.0.0.1%3A9000&region=auto",
            kind: "s3",
            keyPath: undefined,
            accessKeyId: "shared-id",
            secretAccessKey: "shared-secret",
          },
        },
      ],
      folders: [
        {
          ...settings,
          folder: "/data/tenants",
          pattern: "*.db",
          recursive: true,
          watch: true,
          staging: { kind: "meta-dir", folder: "/var/lib/eddy" },
          replica: {
            url: "s3://tenants/all?region=auto&endpoint=http%3A%2F%2F127.0.0.1%3A9000",
            kind: "s3",
            keyPath: "all",
            accessKeyId: "own-id",
            secretAccessKey: "own-secret",
          },
        },
      ],
      defaults: settings,
      logging: { level: "debug", type: "json", stderr: true },
      metricsAddress: ":9090",
      socket: { isEnabled: true, path: "/run/eddy.sock", permissions: 0o660 },
      heartbeat: { url: "https://example.com/ping", intervalMs: 600_000 },
      exec: "node server.js --port 80",
      notices: [],
    });
  });

  it("has Litestream's defaults where nothing is said", () => {
    expect(read("# nothing\n")).toEqual({
      databases: [],
      folders: [],
      defaults: NOTHING,
      logging: { level: undefined, type: undefined, stderr: undefined },
      metricsAddress: undefined,
      socket: { isEnabled: false, path: "/var/run/litestream.sock", permissions: 0o600 },
      heartbeat: undefined,
      exec: undefined,
      notices: [],
    });
  });

  it.each([
    ["a folder by its URL", ["url: file:///var/backups/app"], "file:///var/backups/app"],
    ["a folder by its path", ["path: /var/backups/my app"], "file:///var/backups/my%20app"],
    ["a folder by type and path", ["type: file", "path: ~/backups"], `file://${homedir()}/backups`],
    [
      "a bucket by its parts",
      ["type: s3", "bucket: b", "path: prod/app.db", "region: eu-west-1"],
      "s3://b/prod/app.db?region=eu-west-1",
    ],
    [
      "a bucket with every setting",
      [
        "type: s3",
        "bucket: b",
        "path: p",
        "endpoint: https://s3.example.com",
        "force-path-style: false",
        "sign-payload: false",
        "require-content-md5: false",
        "storage-class: STANDARD_IA",
        "part-size: 16MiB",
        "skip-verify: false",
      ],
      "s3://b/p?endpoint=https%3A%2F%2Fs3.example.com&forcePathStyle=false&signPayload=false&requireContentMD5=false&storageClass=STANDARD_IA&partSize=16777216",
    ],
    [
      "a URL whose parameter a key overrides",
      ["url: s3://b/p?region=us-east-1&sign-payload=true", "region: auto", "sign-payload: no"],
      "s3://b/p?region=auto&signPayload=false",
    ],
    ["R2, short", [`url: r2://${"a".repeat(32)}/bucket/app`], `r2://${"a".repeat(32)}/bucket/app`],
  ])("reads %s", (_name, lines, url) => {
    expect(withReplica(...lines).url).toBe(url);
  });

  it("takes a path beside a bucket as it stands, slashes and all, as Litestream does", () => {
    const replica = withReplica("type: s3", "bucket: b", "path: /prod//app/");
    expect(replica.keyPath).toBe("/prod//app/");
    expect(identityOf(replica, {})).toMatch(/ b \/prod\/\/app\/$/);
  });

  it("reads the list with one replica that older files have", () => {
    const { databases } = read("dbs: [{path: sqlite:///a.db, replicas: [{path: /b}]}]");
    expect(databases[0]).toMatchObject({ path: "/a.db", replica: { url: "file:///b" } });
  });

  it("resolves anchors, aliases and merges", () => {
    const { databases } = read(`
dbs:
  - path: /a.db
    replica: &store { type: s3, bucket: b, path: a, region: auto }
  - path: /b.db
    replica: { <<: *store, path: b }
`);
    expect(databases.map(({ replica }) => replica.url)).toEqual([
      "s3://b/a?region=auto",
      "s3://b/b?region=auto",
    ]);
  });

  it("puts in variables as values: what is in them is no YAML", () => {
    const text = `
dbs:
  - path: /data/$BUCKET-\${PID}.db
    replica: {url: s3://\${BUCKET}/p, access-key-id: "\${EMPTY}", secret-access-key: $SECRET}
`;
    const [database] = read(text).databases;
    expect(database).toMatchObject({
      path: `/data/prod-${process.pid}.db`,
      replica: { url: "s3://prod/p", accessKeyId: undefined, secretAccessKey: "a#b: $c" },
    });
  });

  it("says which variable is not set, and leaves all of them alone when told to", () => {
    const text = "dbs:\n  - path: /data/app$NOWHERE.db\n    replica: { path: /b }\n";
    expect(read(text)).toMatchObject({
      databases: [{ path: "/data/app.db" }],
      notices: ["eddy.yml, line 2: $NOWHERE is not set in the environment and counts as empty"],
    });
    expect(read(text, false).databases[0]?.path).toBe("/data/app$NOWHERE.db");
  });

  it("names each setting that has no effect", () => {
    const { notices } = read(`
shutdown-sync-timeout: 10s
dbs:
  - path: /a.db
    min-checkpoint-page-count: 500
    busy-timeout: 1s
    replica:
      path: /b
      auto-recover: true
`);
    expect(notices).toEqual([
      expect.stringMatching(/^eddy.yml, line 2: "shutdown-sync-timeout" has no effect: /),
      expect.stringMatching(/^eddy.yml, line 5: "min-checkpoint-page-count" has no effect: /),
      expect.stringMatching(/^eddy.yml, line 6: "busy-timeout" has no effect: /),
      expect.stringMatching(/^eddy.yml, line 9: "auto-recover" has no effect: /),
    ]);
  });
});

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
    ["certificates that nobody checks", "skip-verify: true\n" + `${DB}url: s3://b/p`, 1, "always"],
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

describe("replicaBelow", () => {
  it.each([
    ["file:///b", "file:///b/x/1%23.db"],
    ["s3://b/p?region=auto", "s3://b/p/x/1%23.db?region=auto"],
  ])("appends the database's place to %s", (url, expected) => {
    const replica = withReplica(`url: ${url}`);
    expect(replicaBelow(replica, "x/1#.db").url).toBe(expected);
  });

  it("joins a path that stands beside a bucket as Go does", () => {
    const replica = withReplica("type: s3", "bucket: b", "path: p/");
    expect(replicaBelow(replica, "x/1.db").keyPath).toBe("p/x/1.db");
  });
});
