import type { Head } from "./follow-head.ts";
import { isLaterState, isSameHistory } from "./plan-identity.ts";

export interface HeadChoice {
  /** What the look is answered with. */
  readonly answer: Head;
  /** What is known of the replica from now on. */
  readonly kept: Head;
  /** TXIDs of a path that was wiped begin anew: what is kept under them is another history's. */
  readonly isNewHistory: boolean;
}

/**
 * Of what a look has found and what is known by now: another request may have looked meanwhile, and the
 * look that began last has the last word.
 *
 * @param before What was known when the look began.
 * @param now What is known when it ends.
 */
export function chooseHead(
  { before, now }: { readonly before: Head | undefined; readonly now: Head | undefined },
  found: Head,
): HeadChoice {
  if (!now) return { answer: found, kept: found, isNewHistory: false };
  if (isLaterState(now.plan, found.plan)) {
    // Its answer was under way when the next transaction came: nothing that was answered is taken back.
    const kept = { ...now, checkedAtMs: Math.max(now.checkedAtMs, found.checkedAtMs) };
    return { answer: kept, kept, isNewHistory: false };
  }
  const isOlder = now !== before && now.checkedAtMs >= found.checkedAtMs;
  const isKept = !isOlder || found.plan.txid > now.plan.txid;
  const isNewHistory = !isSameHistory(now.plan, found.plan);
  return { answer: found, kept: isKept ? found : now, isNewHistory };
}
