/** Times as S3 writes them. `shared` has no `Date`, which would also read today's clock. */

const DAY_MS = 86_400_000;

/**
 * Milliseconds since the epoch of a UTC time such as `2025-01-01T00:00:00.123Z`, the fraction
 * optional and cut to milliseconds.
 *
 * @returns Undefined when `text` is not written that way.
 */
export function parseIsoTime(text: string): number | undefined {
  const match = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?Z$/.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  const fractionMs = Number((match[7] ?? "").padEnd(3, "0").slice(0, 3));
  const seconds = (hour * 60 + minute) * 60 + second;
  return daysBefore(year, month, day) * DAY_MS + seconds * 1000 + fractionMs;
}

/** `20250101T000000Z`: how a signature writes the time, from 1970 on. */
export function formatBasicTime(timeMs: number): string {
  const seconds = Math.floor((timeMs % DAY_MS) / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const time = parts.map((part) => String(part).padStart(2, "0")).join("");
  return `${formatBasicDay(Math.floor(timeMs / DAY_MS))}T${time}Z`;
}

/** Days from the epoch to a date of the Gregorian calendar; years begin in March for the sum. */
function daysBefore(year: number, month: number, day: number): number {
  const years = month > 2 ? year : year - 1;
  const months = (month + 9) % 12;
  const leapDays = Math.floor(years / 4) - Math.floor(years / 100) + Math.floor(years / 400);
  return years * 365 + leapDays + Math.floor((months * 153 + 2) / 5) + day - 1 - 719_468;
}

function formatBasicDay(days: number): string {
  // The inverse by estimate and step: a year is never longer than 366 days.
  let year = 1970 + Math.floor(days / 366);
  while (daysBefore(year + 1, 1, 1) <= days) year++;
  let month = 1;
  while (month < 12 && daysBefore(year, month + 1, 1) <= days) month++;
  const day = days - daysBefore(year, month, 1) + 1;
  return [
    String(year).padStart(4, "0"),
    ...[month, day].map((n) => String(n).padStart(2, "0")),
  ].join("");
}
