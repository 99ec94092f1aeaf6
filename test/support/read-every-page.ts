/** All pages of a database, read as the routes read them for a query, and held against the truth. */
import { isReplicaError, ReplicaError } from "../../shared/errors.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { streamDatabase } from "../../shared/replica/page-stream.ts";
import { PageReader, type PageReaderOptions } from "../../shared/replica/page-reader.ts";
import { LIBRARY_LIMITS } from "../../worker/limits.ts";
import { Library } from "../../worker/replicas/library.ts";
import { concatBytes, sameBytes } from "./ltx-fixtures.ts";
import {
  beginVersion,
  type BegunVersion,
  type Version,
} from "../../worker/replicas/open-version.ts";

const ATTEMPTS_MAX = 3;
const NOW_MS = 1_000_000;

/** The newest state when left out. */
export interface ReadOptions {
  readonly at?: string | undefined;
  /** Pages to read, in this order; all of them when left out. */
  readonly pgnos?: readonly number[] | undefined;
  /** All of it as the route for snapshots sends it, which says nothing of what is verified. */
  readonly isDownload?: boolean | undefined;
  /** Called once, when the version has been settled and no page of it has been read. */
  readonly onOpened?: (() => void) | undefined;
}

/** What an isolate knows that has just begun. */
export function coldLibrary(): Library {
  return new Library({ limits: LIBRARY_LIMITS, now: () => NOW_MS });
}

/**
 * What reading came to: `right` or `wrong`, with ` verified` behind it where an answer would have said
 * so, or the code of the error; `foreign: ` and an error that no reader should throw.
 */
export async function outcomeOf(
  library: Library,
  replica: Replica,
  truth: Uint8Array,
  options: ReadOptions = {},
): Promise<string> {
  try {
    const { isRight, verified } = await readAsRoutesDo(library, replica, truth, options);
    return `${isRight ? "right" : "wrong"}${verified ? " verified" : ""}`;
  } catch (error) {
    return error instanceof ReplicaError ? error.code : `foreign: ${String(error)}`;
  }
}

interface Reading {
  readonly isRight: boolean;
  readonly verified: boolean;
}

/** As `answerQuery` begins again where files have gone meanwhile. */
async function readAsRoutesDo(
  library: Library,
  replica: Replica,
  truth: Uint8Array,
  options: ReadOptions,
): Promise<Reading> {
  const isNewest = options.at === undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      return await readBegun(library, await begin(library, replica, options), truth, options);
    } catch (error) {
      const hasGone =
        isReplicaError(error, "OBJECT_MISSING") ||
        (isNewest && isReplicaError(error, "VERSION_EXPIRED"));
      if (!hasGone || attempt === ATTEMPTS_MAX) throw error;
      library.forget(replica, { distrust: attempt > 1 });
    }
  }
}

async function begin(
  library: Library,
  replica: Replica,
  { at, onOpened }: ReadOptions,
): Promise<BegunVersion> {
  const begun = await beginVersion({
    library,
    replica,
    at,
    freshness: { minTxid: undefined, waitMs: undefined, maxStaleMs: 0 },
    headTtlMs: 1_000,
    nowMs: NOW_MS,
    signal: new AbortController().signal,
  });
  if (!onOpened) return begun;
  const version = (await begun.settled) ?? begun.version;
  onOpened();
  return { version };
}

/** As `runBegun` runs a statement at the version that it has begun with, beside what settles it. */
async function readBegun(
  library: Library,
  { version, settled }: BegunVersion,
  truth: Uint8Array,
  options: ReadOptions,
): Promise<Reading> {
  if (!settled) return readPages(library, version, truth, options);
  const [outcome, newest] = await Promise.allSettled([
    readPages(library, version, truth, options),
    settled,
  ]);
  if (newest.status === "rejected") throw newest.reason;
  if (newest.value.identity !== version.identity) {
    return readPages(library, newest.value, truth, options);
  }
  if (outcome.status === "rejected") throw outcome.reason;
  return outcome.value;
}

/** A wrong page is read once more by itself: a query may be answered from that page alone. */
async function readPages(
  library: Library,
  version: Version,
  truth: Uint8Array,
  { pgnos, isDownload }: ReadOptions,
): Promise<Reading> {
  if (isDownload) {
    const file = streamDatabase(version.snapshot, {
      reopen: (gone, look) => library.reopen(gone.replica, gone, look),
    });
    const chunks = await Array.fromAsync(file);
    return { isRight: sameBytes(concatBytes(chunks), truth), verified: false };
  }
  const { pageSize, commit } = version.snapshot;
  const newReader = () =>
    new PageReader(version.snapshot, { cache: library.pages, ...reopening(library, version) });
  const isWhole = pageSize * commit === truth.length;
  const isRight = async (reader: PageReader, pgno: number) => {
    if (!reader.resident(pgno)) await reader.load(pgno);
    const right = truth.subarray((pgno - 1) * pageSize, pgno * pageSize);
    return isWhole && sameBytes(reader.resident(pgno) ?? new Uint8Array(), right);
  };
  using all = newReader();
  let wrong = 0;
  for (const pgno of pgnos ?? Array.from({ length: commit }, (_, index) => index + 1)) {
    if (await isRight(all, pgno)) continue;
    wrong++;
    using one = newReader();
    await isRight(one, pgno);
    if (one.stats.verified) return { isRight: false, verified: true };
  }
  return { isRight: wrong === 0, verified: all.stats.verified };
}

/** As `run` has it for the newest version. */
function reopening(library: Library, { kind }: Version): Pick<PageReaderOptions, "reopen"> {
  if (kind !== "latest") {
    return { reopen: (gone, { signal }) => library.reopen(gone.replica, gone, { signal }) };
  }
  return { reopen: () => Promise.reject(new ReplicaError("OBJECT_MISSING", "ask again")) };
}
