/** A version that is named by a TXID or a moment: its plan, and the edge bundle that goes with it. */
import type { BundleHead } from "../../shared/replica/edge-bundle/read-bundle-head.ts";
import { loadPlan, type LoadPlanOptions } from "../../shared/replica/load-plan.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { RestorePlan, RestoreTarget } from "../../shared/replica/restore-plan.ts";
import { logDroppedBundle } from "../http/log.ts";
import { identify } from "./check-bundle.ts";

export interface PlanTargetOptions extends LoadPlanOptions {
  /** One that is known, or is being read beside the listing. */
  readonly asked: BundleHead | Promise<BundleHead | undefined> | undefined;
}

/** Plans, and says whether a bundle describes what the plan begins with. */
export async function planTarget(
  replica: Replica,
  target: RestoreTarget,
  { asked, ...options }: PlanTargetOptions,
): Promise<{ readonly plan: RestorePlan; readonly bundle: BundleHead | undefined }> {
  const [plan, found] = await Promise.all([loadPlan(replica, target, options), asked]);
  return { plan, bundle: await matchBundle(replica, plan, found, options.signal) };
}

/**
 * The bundle as the bucket calls its files now. One with another ETag than the bundle says may be a copy
 * of what it describes, or damaged: without the bundle nobody would tell.
 */
async function matchBundle(
  replica: Replica,
  { txid, files }: RestorePlan,
  bundle: BundleHead | undefined,
  signal: AbortSignal | undefined,
): Promise<BundleHead | undefined> {
  if (!bundle || bundle.txid > txid) return undefined;
  const verdict = await identify(replica, bundle, { files, isWhole: false }, signal);
  if (!verdict.bundle) logDroppedBundle(replica.path, verdict.reason);
  return verdict.bundle;
}
