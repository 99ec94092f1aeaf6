import type { Random } from "../../tools/demo/random.ts";
import type { ReplicatorLife } from "./contender.ts";

/** On a busy machine a process takes its time to come up. */
const START_MS_MAX = 20_000;

/** Waits for a random number of events and a moment more, however fast the machine is; or for some time. */
export async function letRun(life: ReplicatorLife, random: Random): Promise<void> {
  if (random.below(8) === 0) return await life.until(() => false, random.below(800));
  await life.until(() => life.events.length > 0, START_MS_MAX);
  const events = life.events.length + random.below(random.pick([4, 20]));
  await life.until(() => life.events.length >= events, 2_500);
  await life.until(() => false, random.below(30));
}
