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
