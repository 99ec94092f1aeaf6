import { btreePageKind } from "../../sqlite/btree-page.ts";
import { PrefetchBudget } from "./budget.ts";
import { ExpectedScans } from "./expected-scans.ts";
import { IndexRuns } from "./index-runs.ts";
import { KnownTrees } from "./known-trees.ts";
import { OverflowChains } from "./overflow-chains.ts";
import { Scans } from "./scans.ts";
import { WindowsAhead } from "./windows-ahead.ts";

/** What may be fetched for nothing beyond as much as was used, in bytes. */
const SLACK_BYTES = 64 * 1024;
/** Largest window of a scan, in bytes. */
const WINDOW_BYTES_MAX = 1024 * 1024;
/** Windows of pages that are sure to be used that may be under way, or at hand, before they are. */
const SURE_WINDOWS_MAX = 2;

export interface PrefetchOracleOptions {
  /** In bytes. */
  readonly pageSize: number;
  /** Size of the database, in pages. */
  readonly pageCount: number;
  /**
   * The page's bytes where it is at hand; looking is not using. It is called often, and for interior and
   * schema pages mainly.
   */
  readonly peek: (pgno: number) => Uint8Array | undefined;
  /** Says whether a page need not be fetched: it is at hand, is being fetched, or lies nowhere. */
  readonly isAtHand: (pgno: number) => boolean;
  /**
   * Says of an interior page that nobody has wanted it yet: it would have to be decoded, with the places of its
   * children, none of which is known and so none is at hand. Asking this is cheap, and `isAtHand` and `peek` are not.
   */
  readonly isUnopened?: (pgno: number) => boolean;
  /**
   * Bytes of the page's frame in its object, where its place is known. Where it is not, the most that it can
   * have is reckoned with.
   */
  readonly frameBytes: (pgno: number) => number | undefined;
  /** Largest window of a scan, in bytes of frames. 1 MiB where it is not given. */
  readonly windowBytesMax?: number;
  /** The same in pages. As many as their frames allow where it is not given. */
  readonly windowPagesMax?: number;
}

/**
 * Says what to fetch beside the page that was asked for. Pure: it is told of uses and faults of one query, in
 * their order, and gives back page numbers; it neither reads nor waits.
 *
 * A first fault fetches nothing ahead, unless it is in a tree of which the caller knows that the statement reads all.
 * Then it follows scans, through the interior pages of the tree where they are at hand and so also where the
 * leaves lie scattered. Whatever the pattern and whatever the pages hold, at most twice the bytes
 * that the query uses are fetched, and 64 KiB: where nothing was said of its scans at any time, and otherwise
 * at the end of a query that did what was said of it. As long as it has not, or when it was cancelled, two of the largest
 * windows may have been fetched besides, for each statement.
 */
export class PrefetchOracle {
  readonly #trees: KnownTrees;
  readonly #budget: PrefetchBudget;
  readonly #expected: ExpectedScans;
  readonly #scans: Scans;
  readonly #indexRuns: IndexRuns;
  readonly #chains: OverflowChains;
  readonly #ahead = new WindowsAhead();

  constructor(options: PrefetchOracleOptions) {
    const { windowBytesMax = WINDOW_BYTES_MAX } = options;
    const sureBytesMax = SURE_WINDOWS_MAX * windowBytesMax;
    const budget = new PrefetchBudget({ ...options, slackBytes: SLACK_BYTES, sureBytesMax });
    const trees = new KnownTrees(options);
    const chains = new OverflowChains(trees);
    const parts = { ...options, windowBytesMax, trees, chains, budget };
    this.#trees = trees;
    this.#budget = budget;
    this.#chains = chains;
    this.#expected = new ExpectedScans(parts);
    this.#scans = new Scans({ ...parts, firstWindowBytes: Math.min(SLACK_BYTES, windowBytesMax) });
    this.#indexRuns = new IndexRuns(parts);
  }

  /**
   * Notes which trees the statement that runs next reads from their first page to their last, if it reads anything of
   * them; what was noted for another statement is forgotten. If it is wrong, it costs bytes and no more.
   *
   * @param rootPgnos The pages that the trees begin with.
   */
  expectScans(rootPgnos: readonly number[]): void {
    this.#expected.expect(rootPgnos);
  }

  /**
   * Notes that SQLite was given a page that is at hand, also one that it has just waited for. Cheap: it looks
   * at one byte.
   *
   * @returns Whether a window is due with that: `goOn` has it.
   */
  onUse(pgno: number, page: Uint8Array): boolean {
    const isDue = this.#budget.use(pgno) && this.#ahead.onFirstUse(pgno);
    const kind = btreePageKind(pgno, page);
    if (kind === "index-interior" || kind === "table-interior") this.#trees.onUse(pgno);
    else if (kind === "index-leaf") this.#indexRuns.onUse(pgno);
    else if (kind === "table-leaf") this.#chains.onUse(pgno);
    return isDue;
  }

  /** Notes that somebody begins to wait for a page that was asked for or fetched ahead, and is under way. */
  onWait(pgno: number): void {
    this.#ahead.onFirstUse(pgno);
  }

  /** Notes that a page was fetched or came along with another: its frame's size is known now. */
  onPage(pgno: number): void {
    this.#budget.settle(pgno);
  }

  /** Notes that a page which was to come along was not fetched: what it would have cost is not spent. */
  onLeftOut(pgno: number): void {
    this.#budget.leaveOut(pgno);
  }

  /** Notes bytes that were read for nothing between two frames: they are spent, too. */
  onGap(bytes: number): void {
    this.#budget.fetchGap(bytes);
  }

  /**
   * The pages to fetch for a fault at `pgno`: itself first, then what is thought to be asked for next,
   * what is needed soonest first. Only the first has to be waited for.
   */
  onFault(pgno: number): [number, ...number[]] {
    this.#budget.fetch(pgno, "asked");
    this.#trees.onFault();
    const expected = this.#expected.onFault(pgno);
    if (expected !== undefined) this.#ahead.waitFor(pgno, (asked) => this.#expected.goOn(asked));
    const found = expected ?? { sure: [], likely: this.#guess(pgno) };
    this.#trees.onAnswer();
    return [pgno, ...this.#book(found)];
  }

  /**
   * The pages to fetch before anybody asks for them, since a scan has come to use what was fetched ahead before; none
   * where nothing is due. To be asked again until there are none.
   */
  goOn(): readonly number[] {
    const window = this.#ahead.take();
    this.#trees.onAnswer();
    return window === undefined ? [] : this.#book(window);
  }

  /** What may be asked for next, as far as what was asked for so far tells. */
  #guess(pgno: number): readonly number[] {
    const ofIndex = this.#indexRuns.onFault(pgno);
    if (ofIndex !== undefined) return ofIndex;
    const isGuided = (topPgno: number) => this.#indexRuns.isFollowing(topPgno);
    const pages = this.#scans.onFault(pgno, isGuided);
    if (pages.length > 0) this.#ahead.waitFor(pgno, this.#scans.next());
    return pages;
  }

  #book({ sure, likely }: { sure: readonly number[]; likely: readonly number[] }): number[] {
    for (const pgno of sure) this.#budget.fetch(pgno, "sure");
    for (const pgno of likely) this.#budget.fetch(pgno, "likely");
    return [...sure, ...likely];
  }
}
