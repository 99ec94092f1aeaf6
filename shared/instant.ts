const RFC_3339 =
  /^(?<day>\d{4}-\d\d-\d\d)[Tt ](?:[01]\d|2[0-3]):\d\d:\d\d(?<fraction>\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/;

/**
 * Reads an RFC 3339 instant, whatever the number of its fraction's digits; what is finer than a
 * millisecond is cut off.
 *
 * @returns Milliseconds since the Unix epoch; undefined when `text` is not an instant with a zone.
 */
export function parseInstant(text: string): number | undefined {
  const match = RFC_3339.exec(text);
  if (!match) return undefined;
  const { day = "", fraction = "" } = match.groups ?? {};
  const canonical = text.toUpperCase().replace(" ", "T").replace(fraction, fraction.slice(0, 4));
  const ms = Date.parse(canonical);
  // `Date` makes 2 March of 30 February.
  return Number.isNaN(ms) || !formatInstant(Date.parse(day)).startsWith(day) ? undefined : ms;
}

/** Writes milliseconds since the Unix epoch as RFC 3339 in UTC, with milliseconds. */
export function formatInstant(ms: number): string {
  return new Date(ms).toISOString();
}
