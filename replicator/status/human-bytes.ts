const UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/** A size as Litestream's `status` writes it: `0 B`, `999 B`, `1.0 kB`, `16 kB`. */
export function humanBytes(bytes: number): string {
  if (bytes < 10) return `${bytes} B`;
  const exponent = Math.min(UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const tenths = Math.floor((bytes / 1_000 ** exponent) * 10 + 0.5);
  return `${tenths < 100 ? (tenths / 10).toFixed(1) : halfToEven(tenths)} ${UNITS[exponent]}`;
}

/** Tenths to whole ones, as Go rounds. */
function halfToEven(tenths: number): number {
  const whole = Math.floor(tenths / 10);
  const rest = tenths - whole * 10;
  return rest > 5 || (rest === 5 && whole % 2 === 1) ? whole + 1 : whole;
}
