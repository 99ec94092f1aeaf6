/** The arithmetic of pacing: what the sync interval costs at R2's prices. */
const MONTH_MS = 30 * 24 * 60 * 60 * 1_000;
/** R2 asks so much for a million writes, in dollars (November 2026). */
const DOLLARS_PER_MILLION = 4.5;
/** Writes of each month that cost nothing. */
const FREE_UPLOADS = 1_000_000;

export interface PacingCost {
  readonly syncIntervalMs: number;
  /** Uploads in a month of 30 days in which something is committed all the time. */
  readonly uploadsPerMonth: number;
  /** What they cost, in dollars. */
  readonly dollarsPerMonth: number;
  /** The same after the writes that are free each month. */
  readonly dollarsAfterFree: number;
}

/** @param syncIntervalMs What steady writing comes down to: one upload in so long; more than 0. */
export function pacingCost(syncIntervalMs: number): PacingCost {
  const uploadsPerMonth = Math.round(MONTH_MS / syncIntervalMs);
  return {
    syncIntervalMs,
    uploadsPerMonth,
    dollarsPerMonth: dollarsOf(uploadsPerMonth),
    dollarsAfterFree: dollarsOf(Math.max(0, uploadsPerMonth - FREE_UPLOADS)),
  };
}

/** To the cent. */
function dollarsOf(uploads: number): number {
  return Math.round((uploads / 1e6) * DOLLARS_PER_MILLION * 100) / 100;
}

/** The arithmetic as a sentence. */
export function describePacing(cost: PacingCost): string {
  const { syncIntervalMs, uploadsPerMonth, dollarsPerMonth, dollarsAfterFree } = cost;
  const uploads = uploadsPerMonth.toLocaleString("en-US");
  return (
    `writing without a pause is shipped as one upload in ${syncIntervalMs / 1_000} s: ${uploads} a month ` +
    `x $${DOLLARS_PER_MILLION.toFixed(2)} a million on R2 = $${dollarsPerMonth.toFixed(2)} ` +
    `($${dollarsAfterFree.toFixed(2)} after the first million, which is free); a quiet database costs nothing`
  );
}
