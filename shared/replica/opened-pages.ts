import { pageChecksum32 } from "../ltx/checksum.ts";
import type { LtxFileInfo } from "./list-ltx-files.ts";
import { fileIdentity } from "./ltx-file.ts";
import type { CachedPage, PageCache, PageShortcuts } from "./page-cache.ts";
import type { PageLocation } from "./page-locator.ts";
import type { Snapshot } from "./snapshot.ts";
import { verifyPage } from "./verify-page.ts";

/** A page's place, and the page's number. */
export type PagePlace = PageLocation & { readonly pgno: number };

/**
 * A snapshot's pages in a cache, where they lie under the identities of its files. One of these stands
 * for one snapshot, so that what a load began with, it ends with.
 */
export class OpenedPages {
  readonly snapshot: Snapshot;
  readonly #identities: readonly string[];
  readonly #cache: PageCache;
  readonly #shortcuts: PageShortcuts;

  constructor(snapshot: Snapshot, cache: PageCache) {
    this.snapshot = snapshot;
    this.#identities = identitiesOf(snapshot.files);
    this.#cache = cache;
    this.#shortcuts = cache.shortcutsOf(snapshot.pages, snapshot.doubtfulFiles);
  }

  /** Undefined when the page is not at hand, or its place not known. */
  get(pgno: number): CachedPage | undefined {
    return this.#shortcuts.get(pgno) ?? this.#find(pgno);
  }

  #find(pgno: number): CachedPage | undefined {
    const { pages } = this.snapshot;
    const place = pages.get(pgno);
    if (place === null) return undefined;
    const cached = place && this.at({ pgno, ...place });
    if (cached) return this.#remember(pgno, place, cached);
    const { location, page } = pages.atHand?.(pgno) ?? {};
    // One that does not match its checksum is as good as missing: fetching it says what is wrong.
    if (!location || !page || pageChecksum32(pgno, page) !== location.checksum) return undefined;
    return this.#remember(pgno, location, this.keep(location, page, true));
  }

  /** Where a page lies under a locator, and what it has to match, does not change once it is known. */
  #remember(pgno: number, { file, offset }: PageLocation, found: CachedPage): CachedPage {
    this.#shortcuts.remember(pgno, { file: this.#identities[file], offset }, found);
    return found;
  }

  /**
   * The page at a place. One that nobody has verified is, as soon as its checksum is known; where it does
   * not match, it is forgotten and to be fetched again: if the object is damaged, that says so. Without a
   * checksum it is not verified, whoever has verified what lies there: which page that is, only the index
   * says, and nobody has verified that.
   */
  at({ pgno, file, offset, checksum }: PagePlace): CachedPage | undefined {
    const identity = this.#identities[file];
    const cached = this.#cache.get(identity, offset);
    if (!cached) return undefined;
    if (checksum === undefined) return { page: cached.page, isVerified: false };
    if (cached.isVerified) return this.#asFound(file, cached);
    if (pageChecksum32(pgno, cached.page) !== checksum) {
      this.#cache.delete(identity, offset);
      return undefined;
    }
    return this.keep({ file, offset }, cached.page, true);
  }

  /**
   * The page where it is at hand, verified or not, for who looks what to fetch next. That is a use: what
   * is not fetched because it is there should stay, and so should the interior pages of a scan, which SQLite
   * reads once.
   */
  peek(pgno: number): Uint8Array | undefined {
    const known = this.#shortcuts.get(pgno);
    if (known) return known.page;
    const place = this.snapshot.pages.get(pgno);
    const cached = place && this.#cache.get(this.#identities[place.file], place.offset);
    return (cached ?? this.get(pgno))?.page;
  }

  keep(
    { file, offset }: Pick<PageLocation, "file" | "offset">,
    page: Uint8Array,
    isVerified: boolean,
  ): CachedPage {
    return this.#asFound(file, this.#cache.set(this.#identities[file], offset, page, isVerified));
  }

  /** A page that is what it was written as may still not be the newest version. */
  #asFound(file: number, cached: CachedPage): CachedPage {
    const isDoubtful = cached.isVerified && file < this.snapshot.doubtfulFiles;
    return isDoubtful ? { page: cached.page, isVerified: false } : cached;
  }

  /**
   * Keeps a page that came along with its place.
   *
   * @throws {ReplicaError} `CORRUPT_PAGE` when it does not match its checksum.
   */
  take(place: PagePlace, page: Uint8Array): CachedPage {
    return this.keep(place, page, verifyPage(this.snapshot, place, page));
  }
}

/** Each query opens the snapshot's pages for itself, and a plan may have hundreds of files. */
const known = new WeakMap<readonly LtxFileInfo[], readonly string[]>();

function identitiesOf(files: readonly LtxFileInfo[]): readonly string[] {
  const identities = known.get(files) ?? files.map(fileIdentity);
  known.set(files, identities);
  return identities;
}
