/**
 * Runs `work` on each item, a few at a time, and gives the results in the items' order. The first
 * failure ends it: no further item is begun, and what was begun is waited for, so that nothing is
 * left running when it throws.
 */
export async function inParallel<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = Array.from({ length: items.length });
  const errors: unknown[] = [];
  let next = 0;
  const run = async () => {
    while (next < items.length && errors.length === 0) {
      const index = next++;
      try {
        results[index] = await work(items[index]);
      } catch (error) {
        errors.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, run));
  if (errors.length > 0) throw errors[0];
  return results;
}
