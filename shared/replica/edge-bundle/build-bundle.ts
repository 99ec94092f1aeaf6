/** From a replica to its bundle: out of nothing but its LTX files, or over what an older base knows. */
import { assert } from "../../assert.ts";
import { ReplicaError } from "../../errors.ts";
import { decodeHeader, LTX_HEADER_BYTES } from "../../ltx/header.ts";
import { readPageIndex } from "../../ltx/page-index.ts";
import type { LtxFileInfo } from "../list-ltx-files.ts";
import type { Replica } from "../ltx-key.ts";
import { readObject } from "../read-object.ts";
import type { BundleSink } from "./bundle-sink.ts";
import type { ChosenFiles } from "./choose-files.ts";
import { chooseHot } from "./choose-hot.ts";
import type { HeadContent } from "./head-format.ts";
import { loadBase } from "./load-base.ts";
import type { VerifiableLocation } from "./location-coding.ts";
import { LocationTable } from "./location-table.ts";
import { readFileIndex } from "./read-file-index.ts";
import { scanFiles, type ScannedFile, type ScannedPage } from "./scan-files.ts";
import { ScannedState } from "./scanned-state.ts";
import { refuseMissing, writeBase } from "./write-base.ts";

export interface BuildOptions {
  /** Called as bytes of LTX files were read. */
  readonly onBytes?: ((bytes: number) => void) | undefined;
  /** What the pages in the head may take, in bytes. */
  readonly hotBytesMax?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What an older base knows, and the files that lead on from it. */
export interface OlderBase {
  readonly head: HeadContent;
  /** From the older base's TXID to that of the new one. In the order in which they apply. */
  readonly chain: readonly LtxFileInfo[];
}

/**
 * Writes a base into the sink, and makes the head that goes with it. Memory: 16 bytes a page, and the
 * interior pages as they are compressed.
 *
 * Every file is read once, whole; over an older base only those that are newer than it, and the page
 * indexes of the others.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE`, naming the object, when a file is damaged or a page missing, or
 *   when the older base is damaged; `OBJECT_MISSING` when a file is gone; `ABORTED`.
 */
export async function buildBundle(
  replica: Replica,
  { base, delta }: ChosenFiles,
  sink: BundleSink,
  options: BuildOptions & { readonly older?: OlderBase | undefined } = {},
): Promise<HeadContent> {
  const { hotBytesMax, onBytes, older, signal } = options;
  const files = [...base, ...delta];
  const ends = await Promise.all([
    readHeader(replica, base.at(-1), signal),
    readHeader(replica, files.at(-1), signal),
  ]);
  const commitMax = Math.max(...ends.map(({ commit }) => commit), older?.head.base.commit ?? 0);
  const state = new ScannedState({ replica, files, pageSize: ends[0].pageSize, commitMax, signal });
  const scanned = older
    ? await takeOver(replica, base, { state, commit: ends[0].commit, older, options })
    : await scanFiles(replica, base, { firstFile: 0, onPage: taker(state), onBytes, signal });
  state.truncate(ends[0].commit);
  const { reference, records } = await writeBase(state, scanned, sink);
  const newer = new Set<number>();
  const newest = await scanFiles(replica, delta, {
    firstFile: base.length,
    onPage: taker(state, newer),
    onBytes,
    signal,
  });
  const all = [...scanned, ...newest];
  const last = all.at(-1);
  assert(last, "a plan holds at least one file");
  const { commit, pageSize, file } = last;
  refuseMissing(state, commit, file.maxTxid);
  const unchanged = new Map([...records].filter(([pgno]) => !newer.has(pgno)));
  return {
    pageSize,
    commit,
    txid: file.maxTxid,
    timestampMs: file.timestampMs,
    files: all.map((each) => each.file),
    base: reference,
    delta: deltaOf(state, newer, commit),
    ...(await chooseHot(state.source(commit, unchanged), hotBytesMax)),
  };
}

function taker(state: ScannedState, pgnos?: Set<number>): (page: ScannedPage) => void {
  return (page) => {
    pgnos?.add(page.pgno);
    state.take(page);
  };
}

interface Takeover {
  readonly state: ScannedState;
  /** Size of the database after the last of the files, in pages. */
  readonly commit: number;
  readonly older: OlderBase;
  readonly options: BuildOptions;
}

/**
 * Brings an older base's state to that of `files`: what changed since is read whole, and all else is
 * what it was, wherever it lies now.
 */
async function takeOver(
  replica: Replica,
  files: readonly LtxFileInfo[],
  { state, commit, older, options: { onBytes, signal } }: Takeover,
): Promise<ScannedFile[]> {
  const { head, chain } = older;
  const visitor = {
    onRecord: (pgno: number, page: Uint8Array) => state.takeInterior(pgno, page),
    onLocation: (pgno: number, location: VerifiableLocation) => state.takeLocation(pgno, location),
  };
  await loadBase(replica, head, visitor, signal);
  await scanFiles(replica, chain, { firstFile: 0, onPage: taker(state), onBytes, signal });
  // Of a page that neither of them holds, nothing would be known but where it lies.
  refuseMissing(state, commit, files.at(-1)?.maxTxid);
  state.forgetPlaces();
  const scanned: ScannedFile[] = [];
  for (const [file, info] of files.entries()) {
    const { index, ...rest } = await readFileIndex(replica, info, signal);
    readPageIndex(index, (pgno, offset, size) => state.move(pgno, { file, offset, size }));
    scanned.push(rest);
  }
  return scanned;
}

function deltaOf(state: ScannedState, newer: ReadonlySet<number>, commit: number): LocationTable {
  const pgnos = [...newer].filter((pgno) => pgno <= commit).toSorted((a, b) => a - b);
  const table = new LocationTable(pgnos.length);
  for (const pgno of pgnos) {
    const location = state.locate(pgno);
    assert(location, "a newer page was scanned");
    table.append(pgno, location);
  }
  return table;
}

async function readHeader(
  replica: Replica,
  info: LtxFileInfo | undefined,
  signal: AbortSignal | undefined,
) {
  assert(info, "a plan holds at least one file");
  const range = { offset: 0, length: LTX_HEADER_BYTES };
  const { bytes } = await readObject(replica, info, range, signal);
  try {
    return decodeHeader(bytes);
  } catch (cause) {
    const sentence = `"${info.key}" is damaged: ${(cause as Error).message}`;
    throw new ReplicaError("CORRUPT_PAGE", sentence, { cause });
  }
}
