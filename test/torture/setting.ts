import type { Random } from "../../tools/demo/random.ts";

/** What stays the same through all rounds of one database. */
export interface Setting {
  readonly pageSize: number;
  /** 0 none, 1 full, 2 incremental. */
  readonly autoVacuum: number;
  readonly cachePages: number;
  /** The writer rests up to so long after each transaction, in milliseconds. */
  readonly restMs: number;
  readonly syncIntervalMs: number;
  /** Undefined: the command line, whose levels come too seldom for a round. */
  readonly levelIntervalsMs: readonly number[] | undefined;
}

export function chooseSetting(random: Random): Setting {
  return {
    pageSize: random.pick([512, 1024, 2048, 4096, 4096, 8192, 16384, 32768, 65536]),
    autoVacuum: random.below(3),
    cachePages: random.pick([2, 10, 100, 2_000]),
    restMs: random.pick([0, 5, 30]),
    syncIntervalMs: random.pick([0, 0, 10, 100, 1_000]),
    levelIntervalsMs: random.below(2) === 0 ? undefined : [40, 150, 600],
  };
}

export function describeSetting(setting: Setting, store: string): string {
  return [
    store,
    `page_size ${setting.pageSize}`,
    `auto_vacuum ${setting.autoVacuum}`,
    `cache_size ${setting.cachePages}`,
    `rest ${setting.restMs}ms`,
    `sync-interval ${setting.syncIntervalMs}ms`,
    setting.levelIntervalsMs ? "levels" : "command line",
  ].join(", ");
}

/** Steps of a replicator's clock, up to `farMs` in either direction; mostly none. See `stepping-clock.ts`. */
export function chooseClock(random: Random, farMs: number): string {
  if (random.below(3) > 0) return "";
  const step = () => `${random.below(1_500)}:${random.below(2 * farMs) - farMs}`;
  return [step(), step()].join(",");
}
