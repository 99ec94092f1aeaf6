import type { Random } from "../../tools/demo/random.ts";
import type { ReplicatorLife } from "./contender.ts";
import type { Setting } from "./setting.ts";

/** On a busy machine a process takes its time to come up. */
const START_MS_MAX = 20_000;
const DELETED_MS_MAX = 3_000;

/**
 * Waits for a random number of events and a moment more, however fast the machine is; or for some time; or, where
 * levels are written within moments, for files to be deleted.
 */
export async function letRun(
  life: ReplicatorLife,
  random: Random,
  { levelIntervalsMs }: Pick<Setting, "levelIntervalsMs">,
): Promise<void> {
  if (random.below(8) === 0) return await life.until(() => false, random.below(800));
  await life.until(() => life.events.length > 0, START_MS_MAX);
  if (levelIntervalsMs && random.below(2) === 0) {
    const since = life.events.length;
    const isDeleted = () =>
      life.events.slice(since).some(({ event }) => event === "retention-deleted");
    await life.until(isDeleted, DELETED_MS_MAX);
  }
  const events = life.events.length + random.below(random.pick([4, 20]));
  await life.until(() => life.events.length >= events, 2_500);
  await life.until(() => false, random.below(30));
}
