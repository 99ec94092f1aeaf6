/** More slips of the pen than these are another word. */
const SLIPS_MAX = 3;

/** The one of `words` that was probably meant by `given`; undefined when none is near. */
export function nearestWord(given: string, words: readonly string[]): string | undefined {
  const [nearest] = words
    .map((word) => ({ word, slips: editDistance(given.toLowerCase(), word.toLowerCase()) }))
    .toSorted((a, b) => a.slips - b.slips);
  if (nearest === undefined) return undefined;
  // Of a short word little is left after three.
  const slipsMax = Math.min(SLIPS_MAX, Math.floor(given.length / 2));
  return nearest.slips <= slipsMax ? nearest.word : undefined;
}

/** Least number of insertions, deletions and replacements between two words. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}
