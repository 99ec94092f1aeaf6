import type { Problem } from "./problem.ts";

/**
 * Writes one line of JSON about a failure of the Worker or its bucket. SQL and arguments are never
 * part of it: they are the client's.
 */
export function logFailure({ instance, code, status }: Problem, error: unknown): void {
  const causes: string[] = [];
  // Bounded, in case somebody has made a circle of causes.
  for (let cause = error; cause !== undefined && causes.length < 5;) {
    causes.push(cause instanceof Error ? `${cause.name}: ${cause.message}` : typeof cause);
    cause = cause instanceof Error ? cause.cause : undefined;
  }
  const stack = error instanceof Error ? error.stack : undefined;
  // oxlint-disable-next-line no-console -- Workers Logs take what the console is given.
  console.error(JSON.stringify({ level: "error", instance, code, status, causes, stack }));
}

/** Writes one line of JSON about an edge bundle that is not used: answers are right without it, and slower. */
export function logDroppedBundle(path: string, reason: string, error?: unknown): void {
  const cause = error instanceof Error ? error.message : undefined;
  // oxlint-disable-next-line no-console -- Workers Logs take what the console is given.
  console.warn(JSON.stringify({ level: "warn", event: "bundle-dropped", path, reason, cause }));
}
