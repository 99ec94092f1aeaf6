import { SNAPSHOT_LEVEL } from "../../shared/limits.ts";
import type { PageCodec } from "../../shared/ltx/page-frame.ts";
import type { DatabaseSettings } from "./config.ts";
import type { Fields, YamlNode } from "./yaml-node.ts";

type Settings = Omit<DatabaseSettings, "syncIntervalMs" | "restoreIfMissing">;

/**
 * Reads the settings that may stand at a database and at the top of the file.
 *
 * @param defaults What holds where `fields` says nothing.
 */
export function readSettings(fields: Fields, defaults: Settings | undefined): Settings {
  const snapshot = fields.get("snapshot")?.fields({ known: ["interval", "retention"] });
  const retention = fields.get("retention")?.fields({ known: ["enabled"] });
  return {
    levelIntervalsMs: levelsOf(fields.get("levels")) ?? defaults?.levelIntervalsMs,
    snapshotIntervalMs: snapshot?.durationMs("interval", 1) ?? defaults?.snapshotIntervalMs,
    snapshotRetentionMs: snapshot?.durationMs("retention", 1) ?? defaults?.snapshotRetentionMs,
    l0RetentionMs: fields.durationMs("l0-retention") ?? defaults?.l0RetentionMs,
    retentionEnabled: retention?.flag("enabled") ?? defaults?.retentionEnabled,
    codec: codecOf(fields.get("page-codec")) ?? defaults?.codec,
    statusIntervalMs: fields.durationMs("status-interval", 1_000) ?? defaults?.statusIntervalMs,
    lease: fields.flag("lease") ?? defaults?.lease,
    edgeBundle: fields.flag("edge-bundle") ?? defaults?.edgeBundle,
  };
}

function codecOf(node: YamlNode | undefined): PageCodec | undefined {
  const text = node?.text();
  if (text === undefined || text === "block" || text === "frame") return text;
  throw node!.refuse(`page-codec is block, or frame for readers older than Litestream 0.5.16`);
}

function levelsOf(node: YamlNode | undefined): readonly number[] | undefined {
  const items = node?.items() ?? [];
  if (node === undefined || items.length === 0) return undefined;
  const countMax = SNAPSHOT_LEVEL - 1;
  if (items.length > countMax) {
    throw node.refuse(`there are ${items.length} levels, and ${countMax} are the most`);
  }
  return items.map((item) => {
    const intervalMs = item.fields({ known: ["interval"] }).durationMs("interval", 1);
    if (intervalMs !== undefined) return intervalMs;
    throw item.refuse("the level has no interval: write `- interval: 30s`");
  });
}
