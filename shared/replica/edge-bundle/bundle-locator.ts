import { ReplicaError, isReplicaError } from "../../errors.ts";
import { lockPgno } from "../../sqlite/database-header.ts";
import type { FoundPage, LocatorRead, PageLocation, PageLocator } from "../page-locator.ts";
import { openPart, openRecord, partOf, readUnit } from "./base-reader.ts";
import type { BundleRoot } from "./bundle-format.ts";
import { formatBaseKey } from "./bundle-keys.ts";
import { decodeRecord, type BundleRecord } from "./bundle-record.ts";
import type { HeadContent } from "./head-format.ts";
import type { LocationCache } from "./location-cache.ts";
import type { UnitPlace, VerifiableLocation } from "./location-coding.ts";

/** What has been found wrong with a bundle while it was used. */
export type BundleFault = "base-missing" | "base-damaged";

/**
 * Says where the pages of a bundle's state lie. What the head says is at hand; the rest comes out of the
 * base, by one read: an interior page with where its children lie, or a part of the page map.
 *
 * Whatever is newer than the base goes before it: the base's locations are those of its own TXID.
 */
export class BundleLocator implements PageLocator {
  readonly #head: HeadContent;
  readonly #baseKey: string;
  readonly #cache: LocationCache;
  /** Under which the cache keeps locations, and where records lie in the base. */
  readonly #locations: number;
  readonly #records: number;
  readonly #hot: ReadonlyMap<number, Uint8Array>;
  readonly #roots: ReadonlyMap<number, BundleRoot>;
  /** Hot pages and roots that have been given out with where their children lie. */
  readonly #opened = new Set<number>();
  readonly #lockPgno: number;
  #fault: BundleFault | undefined;

  /** @param place What names the replica among those whose locations `cache` keeps. */
  constructor(
    head: HeadContent,
    { path, layout }: { readonly path: string; readonly layout: "s3" | "folder" },
    cache: LocationCache,
  ) {
    this.#head = head;
    this.#baseKey = formatBaseKey({ path, layout }, head.base);
    this.#cache = cache;
    // The same for every head of one base: its files are the first of each head's.
    this.#locations = cache.owner(`locations ${this.#baseKey}`);
    this.#records = cache.owner(`records ${this.#baseKey}`);
    this.#hot = new Map(head.hot.map(({ pgno, bytes }) => [pgno, bytes]));
    this.#roots = new Map(head.roots.map((root) => [root.pgno, root]));
    this.#lockPgno = lockPgno(head.pageSize);
  }

  get sizeBytes(): number {
    const { hot, delta, roots } = this.#head;
    const hotBytes = hot.reduce((sum, { bytes }) => sum + bytes.length, 0);
    return hotBytes + delta.sizeBytes + 100 * (hot.length + 2 * roots.length);
  }

  /** What makes this bundle useless; whoever opened it should do without it from then on. */
  get fault(): BundleFault | undefined {
    return this.#fault;
  }

  get(pgno: number): PageLocation | null | undefined {
    if (pgno < 1 || pgno > this.#head.commit || pgno === this.#lockPgno) return null;
    if (this.#hot.has(pgno) && !this.#opened.has(pgno)) return undefined;
    const newer = this.#head.delta.get(pgno);
    if (newer) return newer;
    if (this.#recordOf(pgno)) return undefined;
    return this.#known(pgno);
  }

  async find(pgno: number, read: LocatorRead): Promise<FoundPage> {
    const known = this.get(pgno);
    if (known !== undefined) return { location: known };
    const atHand = this.atHand(pgno);
    if (atHand) return atHand;
    const place = this.#recordOf(pgno);
    const record = place && (await this.#readRecord(pgno, place, read));
    if (record) return this.#open(record);
    return { location: this.#known(pgno) ?? (await this.#readPart(pgno, read)) };
  }

  /**
   * A page that the head carries: it is decoded when somebody wants it, and costs no read. A cold start is to
   * decode three of eighty pages, not all of them; and a scan longer than the cache, in which SQLite's own cache
   * hides the interior pages, is to find them here again, or nobody knows what comes next.
   */
  atHand(pgno: number): FoundPage | undefined {
    const hot = this.#hot.get(pgno);
    return hot && this.#open(this.#decode(hot));
  }

  #known(pgno: number): VerifiableLocation | undefined {
    return this.#roots.get(pgno)?.location ?? this.#cache.get(this.#locations, pgno);
  }

  /** Where the base has a record of a page that has not been given out yet. */
  #recordOf(pgno: number): UnitPlace | undefined {
    if (this.#fault !== undefined || this.#hot.has(pgno)) return undefined;
    const root = this.#roots.get(pgno);
    if (root) return this.#opened.has(pgno) ? undefined : root.record;
    return this.#cache.get(this.#records, pgno);
  }

  /** Takes in what a record says of its page's children. */
  #open({ pgno, page, location, children, records }: BundleRecord): FoundPage {
    const { delta } = this.#head;
    if (this.#hot.has(pgno) || this.#roots.has(pgno)) this.#opened.add(pgno);
    else this.#cache.delete(this.#records, pgno);
    if (!delta.has(pgno)) this.#keep(pgno, location);
    for (let index = 0; index < children.length; index++) {
      const child = children.pgnoAt(index);
      if (delta.has(child)) continue;
      const place = children.at(index);
      if (place) this.#keep(child, place);
      const record = records[index];
      if (!record || this.#hot.has(child)) continue;
      this.#cache.set(this.#records, child, { file: 0, checksum: 0, ...record });
    }
    return { location: delta.get(pgno) ?? location, page };
  }

  /** Keeps what holds for every head of this base; what lies in newer files is in the delta. */
  #keep(pgno: number, location: VerifiableLocation): void {
    if (location.file < this.#head.base.fileCount) this.#cache.set(this.#locations, pgno, location);
  }

  #decode(bytes: Uint8Array): BundleRecord {
    const { pageSize, files } = this.#head;
    return decodeRecord(bytes, { pageSize, fileCount: files.length });
  }

  /** Undefined when the record is damaged: the page is in the LTX files too. */
  async #readRecord(
    pgno: number,
    place: UnitPlace,
    read: LocatorRead,
  ): Promise<BundleRecord | undefined> {
    const { base, pageSize } = this.#head;
    const unit = await this.#readUnit(place, read);
    try {
      return openRecord(base, { pgno, pageSize }, unit);
    } catch (error) {
      if (!isReplicaError(error, "CORRUPT_PAGE")) throw error;
      this.#fault = "base-damaged";
      return undefined;
    }
  }

  async #readPart(pgno: number, read: LocatorRead): Promise<VerifiableLocation | null> {
    const { base } = this.#head;
    if (pgno > base.commit) return this.#refuse("base-damaged", `it has no page ${pgno}`);
    const { number, place } = partOf(base, pgno);
    const unit = await this.#readUnit(place, read);
    let found: VerifiableLocation | null = null;
    try {
      openPart(base, number, unit, (each, location) => {
        if (each === pgno) found = location;
        if (location) this.#keep(each, location);
      });
    } catch (error) {
      if (!isReplicaError(error, "CORRUPT_PAGE")) throw error;
      return this.#refuse("base-damaged", error.message);
    }
    return found;
  }

  async #readUnit(place: UnitPlace, { replica, signal }: LocatorRead): Promise<Uint8Array> {
    const unit = await readUnit(replica, this.#head.base, place, signal);
    return unit ?? this.#refuse("base-missing", "it is no longer in the bucket");
  }

  /** Whoever plans again does it without this bundle: nothing of the database is lost. */
  #refuse(fault: BundleFault, what: string): never {
    this.#fault = fault;
    const sentence = `the side index "${this.#baseKey}" cannot be used: ${what}`;
    throw new ReplicaError("OBJECT_MISSING", sentence);
  }
}
