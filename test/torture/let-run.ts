import type { Random } from "../../tools/demo/random.ts";
import type { ReplicatorLife } from "./contender.ts";

/** Waits for a random number of events and a moment more, however fast the machine is; or for some time. */
export async function letRun(life: ReplicatorLife, random: Random): Promise<void> {
  if (random.below(4) === 0) return await life.until(() => false, random.below(800));
  const events = life.events.length + random.below(10);
  await life.until(() => life.events.length >= events, 1_500);
  await life.until(() => false, random.below(30));
}
