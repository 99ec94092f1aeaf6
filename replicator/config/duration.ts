import { ReplicaError } from "../../shared/errors.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

const DURATION = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h|d))+$/;

/**
 * Reads a duration as Litestream writes them (`10ms`, `1m30s`, `1.5h`), and days (`7d`); `0` needs no
 * unit. Answers milliseconds.
 *
 * @param name What the duration is of, for the message.
 * @throws {ReplicaError} `BAD_CONFIG`.
 */
export function parseDuration(text: string, name: string): number {
  if (text === "0") return 0;
  if (!DURATION.test(text)) {
    throw new ReplicaError(
      "BAD_CONFIG",
      `${name} is "${text}", which is no duration: give a number with its unit, such as 10ms, 1s, 5m, 24h or 7d`,
    );
  }
  let sumMs = 0;
  for (const [, value, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)/g)) {
    sumMs += Number(value) * (UNIT_MS[unit ?? ""] ?? 0);
  }
  return sumMs;
}
