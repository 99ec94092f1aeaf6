/** Pages to fetch before anybody asks for them. */
export interface WindowAhead {
  /** Those that are sure to be used. */
  readonly sure: readonly number[];
  /** Those that are likely to be. */
  readonly likely: readonly number[];
  readonly next: NextWindow;
}

/**
 * What comes after a window of which a page is used, or waited for; undefined where nothing is known of that, or there
 * is no room for it now.
 */
export type NextWindow = (usedPgno: number) => WindowAhead | undefined;

interface Watched {
  readonly pgnos: ReadonlySet<number>;
  readonly next: NextWindow;
}

interface Due {
  /** The page that is used, or waited for. */
  readonly pgno: number;
  readonly next: NextWindow;
}

/** Windows that are watched at a time: those of so many scans. */
const WATCHED_MAX = 8;

/**
 * Windows that go on by themselves: when the first page of one that was begun ahead is used, the one behind it may
 * begin. So there are two beyond what is used at most: the one that has just come to be used, and the next.
 */
export class WindowsAhead {
  #watched: readonly Watched[] = [];
  #due: readonly Due[] = [];

  /** Notes that somebody waits for a page of a window, so that the next may begin beside it. */
  waitFor(pgno: number, next: NextWindow): void {
    this.#due = [...this.#due, { pgno, next }].slice(-WATCHED_MAX);
  }

  /** Notes that a page was used for the first time since it was fetched; says whether a window is due with that. */
  onFirstUse(pgno: number): boolean {
    // More than one where it was dropped before it was used, and came ahead again.
    const used = this.#watched.filter(({ pgnos }) => pgnos.has(pgno));
    if (used.length === 0) return false;
    this.#watched = this.#watched.filter((watched) => !used.includes(watched));
    this.#due = [...this.#due, ...used.map(({ next }) => ({ pgno, next }))].slice(-WATCHED_MAX);
    return true;
  }

  /** Takes the next of the windows that are due and of which anything is known; it is watched from then on. */
  take(): WindowAhead | undefined {
    // Bounded by what is due: each turn takes one.
    for (;;) {
      const [due, ...others] = this.#due;
      if (due === undefined) return undefined;
      this.#due = others;
      const window = due.next(due.pgno);
      if (window !== undefined) return this.#watch(window);
    }
  }

  #watch(window: WindowAhead): WindowAhead {
    const watched = { pgnos: new Set([...window.sure, ...window.likely]), next: window.next };
    this.#watched = [...this.#watched, watched].slice(-WATCHED_MAX);
    return window;
  }
}
