import type { FoundPage, LocatorRead, PageLocation, PageLocator } from "./page-locator.ts";

/**
 * Pages of a database whose places are known to several locators: what a newer one knows counts. Each
 * answers for the files that it stands for; null says that none of those holds the page, and an older
 * one is asked.
 */
export class LayeredPages implements PageLocator {
  readonly #commit: number;
  readonly #layers: readonly PageLocator[];

  /**
   * @param commit Size of the database, in pages: older layers may know pages that it has no more.
   * @param layers Newest first.
   */
  constructor(commit: number, layers: readonly PageLocator[]) {
    this.#commit = commit;
    this.#layers = layers;
  }

  get sizeBytes(): number {
    return this.#layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  get fault(): string | undefined {
    return this.#layers.find(({ fault }) => fault !== undefined)?.fault;
  }

  get(pgno: number): PageLocation | null | undefined {
    if (pgno > this.#commit) return null;
    for (const layer of this.#layers) {
      const location = layer.get(pgno);
      if (location !== null) return location;
    }
    return null;
  }

  atHand(pgno: number): FoundPage | undefined {
    if (pgno > this.#commit) return undefined;
    for (const layer of this.#layers) {
      // An older one has an older page.
      if (layer.get(pgno) !== null) return layer.atHand?.(pgno);
    }
    return undefined;
  }

  async find(pgno: number, read: LocatorRead): Promise<FoundPage> {
    const known = this.get(pgno);
    if (known !== undefined) return { location: known };
    // Side by side: whether a newer layer has the page is not known, and it mostly has not.
    const asked: Promise<FoundPage>[] = [];
    for (const layer of this.#layers) {
      const location = layer.get(pgno);
      if (location === undefined) asked.push(layer.find(pgno, read));
      else if (location) asked.push(Promise.resolve({ location }));
      if (location) break;
    }
    // All of them come to their end before one that failed is told of.
    const settled = await Promise.allSettled(asked);
    for (const answer of settled) if (answer.status === "rejected") throw answer.reason;
    for (const answer of settled) {
      if (answer.status === "fulfilled" && answer.value.location) return answer.value;
    }
    return { location: null };
  }
}
