/** The newest state as a refreshed head needs it: out of the old head and its base, and what is newer. */
import { btreePageKind } from "../../sqlite/btree-page.ts";
import type { LtxFileInfo } from "../list-ltx-files.ts";
import type { Replica } from "../ltx-key.ts";
import { openPart, openRecord, partOf, readUnit } from "./base-reader.ts";
import { decodeRecord, type BundleRecord, type RecordChild } from "./bundle-record.ts";
import type { BundleSource, Children } from "./bundle-source.ts";
import { refuseBundle } from "./byte-reader.ts";
import type { HeadContent } from "./head-format.ts";
import type { InteriorFrames } from "./interior-frames.ts";
import type { UnitPlace, VerifiableLocation } from "./location-coding.ts";
import type { LocationTable } from "./location-table.ts";
import { readStoredPage } from "./read-stored-page.ts";

/** Parts of the map that are read to find the children of one page: else it stands without them. */
const PARTS_A_PAGE_MAX = 8;

export interface HeadSourceOptions {
  readonly replica: Replica;
  /** The new head's. */
  readonly files: readonly LtxFileInfo[];
  readonly commit: number;
  readonly delta: LocationTable;
  readonly old: HeadContent;
  /** Pages in files that the old head did not know, and those of them that may be interior pages. */
  readonly scanned: ReadonlySet<number>;
  readonly frames: InteriorFrames;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Knows what the old head knew, less what has changed since; reads parts of the base for what it did
 * not know.
 */
export class HeadSource implements BundleSource {
  readonly commit: number;
  readonly #options: HeadSourceOptions;
  /** Records of the old head that still hold. */
  readonly #hot = new Map<number, Uint8Array>();
  /** Where pages lie by the base. */
  readonly #locations = new Map<number, VerifiableLocation>();
  /** Where the base has records, even of pages that have changed since: their children are mostly the same. */
  readonly #records = new Map<number, UnitPlace>();

  constructor(options: HeadSourceOptions) {
    this.commit = options.commit;
    this.#options = options;
    const { old, scanned } = options;
    for (const { pgno, location, record } of old.roots) this.#learn({ pgno, location, record });
    for (const { pgno, bytes } of old.hot) {
      // One that has changed is good for its children still.
      this.#learnChildren(this.#decode(bytes));
      if (!scanned.has(pgno)) this.#hot.set(pgno, bytes);
    }
  }

  async locate(pgno: number): Promise<VerifiableLocation | null> {
    if (pgno > this.commit) return null;
    const known = this.#known(pgno);
    if (known) return known;
    await this.#readPart(pgno);
    return this.#known(pgno) ?? null;
  }

  async read(pgno: number): Promise<Uint8Array> {
    const hot = this.#hot.get(pgno);
    if (hot) return this.#decode(hot).page;
    const { frames, replica, files, old, signal } = this.#options;
    const scanned = frames.page(pgno);
    if (scanned) return scanned;
    const record = this.record(pgno) && (await this.#readRecord(pgno));
    if (record) return record.page;
    const location = await this.locate(pgno);
    if (!location) return refuseBundle(`page ${pgno} is in none of its files`);
    const { pageSize } = old;
    return readStoredPage(replica, { pgno, location, files, pageSize, signal });
  }

  async isInterior(pgno: number): Promise<boolean> {
    const known = this.#kindOf(pgno);
    if (known !== undefined) return known;
    return btreePageKind(pgno, await this.read(pgno))?.endsWith("-interior") ?? false;
  }

  record(pgno: number): UnitPlace | undefined {
    return this.#options.delta.has(pgno) ? undefined : this.#records.get(pgno);
  }

  async children(pgno: number, pgnos: Uint32Array): Promise<Children | undefined> {
    const isUnknown = (child: number) => child <= this.commit && !this.#known(child);
    if (pgnos.some(isUnknown)) await this.#readRecord(pgno);
    const { base } = this.#options.old;
    const missing = pgnos.filter((child) => isUnknown(child) && child <= base.commit);
    const parts = new Set(Array.from(missing, (child) => partOf(base, child).number));
    if (parts.size > PARTS_A_PAGE_MAX) return undefined;
    const located: RecordChild[] = [];
    for (const child of pgnos) {
      located.push({
        pgno: child,
        location: await this.locate(child),
        record: this.record(child),
      });
    }
    return { located, interior: (await this.#areInterior(pgnos)) ? [...pgnos] : [] };
  }

  /** All children of a page are interior pages, or none is: whichever is known tells. */
  async #areInterior(pgnos: Uint32Array): Promise<boolean> {
    for (const pgno of pgnos) {
      const known = this.#kindOf(pgno);
      if (known !== undefined) return known;
    }
    return pgnos.length > 0 && pgnos[0] <= this.commit && this.isInterior(pgnos[0]);
  }

  /** Whether a page that a tree leads to is an interior one, as far as that is known without a read. */
  #kindOf(pgno: number): boolean | undefined {
    const { scanned, frames, delta } = this.#options;
    if (scanned.has(pgno)) return frames.has(pgno);
    const hot = this.#hot.get(pgno);
    if (hot) return this.#decode(hot).children.length > 0;
    if (delta.has(pgno)) return undefined;
    if (this.#records.has(pgno)) return true;
    // The base has a record of every interior page, and its place stands beside the page's.
    return this.#locations.has(pgno) ? false : undefined;
  }

  #known(pgno: number): VerifiableLocation | undefined {
    return this.#options.delta.get(pgno) ?? this.#locations.get(pgno);
  }

  #learn({ pgno, location, record }: RecordChild): void {
    if (record) this.#records.set(pgno, record);
    const { base } = this.#options.old;
    if (location && location.file < base.fileCount) this.#locations.set(pgno, location);
  }

  #learnChildren({ children, records }: BundleRecord): void {
    for (let index = 0; index < children.length; index++) {
      const location = children.at(index) ?? null;
      this.#learn({ pgno: children.pgnoAt(index), location, record: records[index] });
    }
  }

  #decode(bytes: Uint8Array): BundleRecord {
    const { pageSize, files } = this.#options.old;
    return decodeRecord(bytes, { pageSize, fileCount: files.length });
  }

  /** Reads the base's record of a page, if it has one, and learns where the page's children were. */
  async #readRecord(pgno: number): Promise<BundleRecord | undefined> {
    const { old, replica, signal } = this.#options;
    const place = this.#records.get(pgno);
    const unit = place && (await readUnit(replica, old.base, place, signal));
    if (!unit) return undefined;
    const record = openRecord(old.base, { pgno, pageSize: old.pageSize }, unit);
    this.#learnChildren(record);
    return record;
  }

  async #readPart(pgno: number): Promise<void> {
    const { old, replica, signal } = this.#options;
    if (pgno > old.base.commit) return;
    const { number, place } = partOf(old.base, pgno);
    const unit = await readUnit(replica, old.base, place, signal);
    if (!unit) return refuseBundle("its base is gone");
    openPart(old.base, number, unit, (each, location) => {
      if (location) this.#locations.set(each, location);
    });
  }
}
