import { SNAPSHOT_LEVEL } from "../../shared/limits.ts";
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
    lease: fields.flag("lease") ?? defaults?.lease,
  };
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
