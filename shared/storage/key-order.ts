/**
 * Orders keys as stores do: by their bytes in UTF-8, which is by code point. Plain `<` compares
 * UTF-16 units and puts characters above U+FFFF too early.
 *
 * @returns Negative, zero or positive, as `Array.sort` wants it.
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return orderOfUnit(left) - orderOfUnit(right);
  }
  return a.length - b.length;
}

/** Moves surrogates above the rest of the plane, where the code points they stand for belong. */
function orderOfUnit(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
