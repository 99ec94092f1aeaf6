import type { Environment } from "../../shared/storage/store-url.ts";
import {
  LOG_LEVELS,
  UNCONFIGURED,
  type Config,
  type DatabaseSettings,
  type HeartbeatConfig,
  type LoggingConfig,
  type SocketConfig,
} from "./config.ts";
import { Expansion } from "./expand-variables.ts";
import { TOP_KEYS } from "./key-tables.ts";
import { localPath } from "./local-path.ts";
import { readDatabase, type DatabaseEntry } from "./read-database.ts";
import { readSettings } from "./read-settings.ts";
import { identityOf } from "./replica-place.ts";
import { parseYaml, type Fields, type YamlNode } from "./yaml-node.ts";

const HEARTBEAT_INTERVAL_MS = 300_000;
const HEARTBEAT_INTERVAL_MS_MIN = 60_000;

export interface ReadConfigOptions {
  /** How messages call the file. */
  readonly name: string;
  readonly env: Environment;
  /** False: `$` is a character like others. */
  readonly expandEnvironment: boolean;
}

/**
 * Reads Litestream's configuration file, with ours in addition.
 *
 * @throws {ReplicaError} `BAD_CONFIG` with file, line, and what to write instead: for keys that are not
 *   known, for those of Litestream that cannot be obeyed, and for two databases with one replica.
 */
export function readConfig(text: string, options: ReadConfigOptions): Config {
  const { name, env, expandEnvironment } = options;
  const notices: string[] = [];
  const expansion = new Expansion(expandEnvironment ? env : undefined);
  const top = parseYaml(text, { name, expansion, notices }).fields(TOP_KEYS);
  const defaults: DatabaseSettings = {
    ...readSettings(top, undefined),
    syncIntervalMs: top.durationMs("sync-interval"),
    restoreIfMissing: false,
  };
  if (top.flag("verify-compaction") === false) {
    top.get("verify-compaction")!.notice("compactions are always verified");
  }
  const entries = readEntries(top.get("dbs"), top, { defaults, env });
  return {
    databases: entries.flatMap((entry) => (entry.kind === "database" ? [entry.config] : [])),
    folders: entries.flatMap((entry) => (entry.kind === "folder" ? [entry.config] : [])),
    defaults,
    logging: readLogging(top.get("logging")),
    metricsAddress: top.text("addr"),
    socket: readSocket(top.get("socket")),
    heartbeat: readHeartbeat(top),
    exec: top.text("exec"),
    notices,
  };
}

/** The entries of `dbs`, no two of them for one database or one replica. */
function readEntries(
  dbs: YamlNode | undefined,
  top: Fields,
  { defaults, env }: { readonly defaults: DatabaseSettings; readonly env: Environment },
): readonly DatabaseEntry[] {
  const lines = new Map<string, number>();
  const claim = (node: YamlNode, what: string, identity: string) => {
    const line = lines.get(`${what} ${identity}`);
    if (line !== undefined)
      throw node.refuse(`${what} is that of line ${line} already: ${identity}`);
    lines.set(`${what} ${identity}`, node.line);
  };
  return (dbs?.items() ?? []).map((node) => {
    const entry = readDatabase(node, { top, defaults, env });
    const { config } = entry;
    const [what, path] =
      entry.kind === "database"
        ? ["the database", entry.config.path]
        : ["the folder and pattern", `${entry.config.folder}/${entry.config.pattern}`];
    claim(node, what, path);
    claim(node, "the replica", identityOf(config.replica, env));
    if (entry.kind === "database" && entry.config.stagingFolder !== undefined) {
      claim(node, "the staging directory", entry.config.stagingFolder);
    }
    return entry;
  });
}

function readLogging(node: YamlNode | undefined): LoggingConfig {
  const fields = node?.fields({
    known: ["level", "type", "stderr"],
    ignored: { source: "a log line says what happened, and not where in Eddy's source" },
  });
  const type = fields?.get("type")?.oneOf(["text", "json", "pretty"]);
  return {
    level: fields?.get("level")?.oneOf(LOG_LEVELS),
    type: type === "pretty" ? "text" : type,
    stderr: fields?.flag("stderr"),
  };
}

function readSocket(node: YamlNode | undefined): SocketConfig {
  const fields = node?.fields({ known: ["enabled", "path", "permissions"] });
  const permissions = fields?.text("permissions");
  if (permissions !== undefined && !/^(0o?)?[0-7]{3}$/.test(permissions)) {
    throw fields!
      .get("permissions")!
      .refuse(`permissions is "${permissions}", but it is to be octal, such as 0600`);
  }
  return {
    isEnabled: fields?.flag("enabled") ?? false,
    path: localPath(fields?.text("path") ?? UNCONFIGURED.socket.path),
    permissions:
      permissions === undefined
        ? UNCONFIGURED.socket.permissions
        : Number.parseInt(permissions.slice(-3), 8),
  };
}

function readHeartbeat(top: Fields): HeartbeatConfig | undefined {
  const intervalMs =
    top.durationMs("heartbeat-interval", HEARTBEAT_INTERVAL_MS_MIN) ?? HEARTBEAT_INTERVAL_MS;
  const url = top.text("heartbeat-url");
  if (url === undefined) return undefined;
  if (/^https?:\/\//i.test(url) && URL.canParse(url)) return { url, intervalMs };
  throw top
    .get("heartbeat-url")!
    .refuse(`heartbeat-url is "${url}", which is no http(s):// address`);
}
