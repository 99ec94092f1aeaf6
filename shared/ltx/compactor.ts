import { assert } from "../assert.ts";
import { ReplicaError } from "../errors.ts";
import type { LtxPage, LtxSummary } from "./decoder.ts";
import { LtxEncoder, type LtxEncoderOptions } from "./encoder.ts";
import { HEADER_FLAG_NO_CHECKSUM, type LtxHeader } from "./header.ts";
import { formatTxid } from "./txid.ts";

/** One LTX file to merge; `openLtx` makes it from a file's bytes. */
export interface CompactionInput {
  readonly header: LtxHeader;
  /** In ascending order. All are taken, so that a decoder behind it checks the whole file. */
  readonly pages: Iterator<LtxPage>;
}

/** An input with the page that it stands at. */
interface Head {
  page: LtxPage;
  /** Place of its input among all: the later one wins. */
  readonly rank: number;
  readonly pages: Iterator<LtxPage>;
}

/**
 * Merges LTX files into one, piece by piece: of each page the version of the last input that has it.
 * Pages beyond the last input's end are dropped. Memory holds one page per input
 * and one piece.
 *
 * The result carries no checksums of the database, whether or not the inputs do.
 *
 * @param inputs In TXID order; their ranges may overlap.
 * @throws {ReplicaError} `CORRUPT_PAGE` when the inputs do not follow each other or differ in page
 *   size, when they give no whole snapshot though they begin at TXID 1, and whatever they throw.
 */
export function* compactLtx(
  inputs: readonly CompactionInput[],
  options?: LtxEncoderOptions,
): Generator<Uint8Array, LtxSummary> {
  const encoder = new LtxEncoder(mergeHeaders(inputs.map(({ header }) => header)), options);
  const { commit } = encoder.header;
  for (const { pgno, data } of mergePages(inputs)) {
    const piece = pgno <= commit ? encoder.page(pgno, data) : undefined;
    if (piece) yield piece;
  }
  yield* encoder.finish();
  return encoder.summary;
}

/** The header of the merged file: the first input's beginning, the last input's end. */
function mergeHeaders(headers: readonly LtxHeader[]): LtxHeader {
  const first = headers[0];
  const last = headers.at(-1);
  assert(first && last, "there is something to merge");
  for (let i = 1; i < headers.length; i++) checkFollows(headers[i - 1], headers[i]);
  return {
    flags: HEADER_FLAG_NO_CHECKSUM,
    pageSize: first.pageSize,
    commit: last.commit,
    minTxid: first.minTxid,
    maxTxid: last.maxTxid,
    timestampMs: last.timestampMs,
    preApplyChecksum: 0n,
    walOffset: 0,
    walSize: 0,
    walSalt1: 0,
    walSalt2: 0,
    nodeId: 0n,
  };
}

function checkFollows(previous: LtxHeader, next: LtxHeader): void {
  if (next.pageSize !== previous.pageSize) {
    refuse(`pages of ${next.pageSize} bytes follow pages of ${previous.pageSize}`);
  }
  if (next.minTxid > previous.maxTxid + 1n) {
    refuse(`nothing lies between ${formatTxid(previous.maxTxid)} and ${formatTxid(next.minTxid)}`);
  }
  if (next.maxTxid <= previous.maxTxid) {
    refuse(
      `the file that ends at ${formatTxid(next.maxTxid)} adds nothing to one that ends at ` +
        formatTxid(previous.maxTxid),
    );
  }
}

/** All pages of all inputs, each once, ascending. */
function* mergePages(inputs: readonly CompactionInput[]): Generator<LtxPage, void> {
  const heap: Head[] = [];
  for (const [rank, { pages }] of inputs.entries()) {
    const next = pages.next();
    if (!next.done) siftUp(heap, { page: next.value, rank, pages });
  }
  let pgno = 0;
  // Bounded by the inputs' pages: each pass takes one.
  for (let head = heap[0]; head; head = heap[0]) {
    // Of one page's versions the newest stands first; the others are passed over.
    if (head.page.pgno !== pgno) yield head.page;
    pgno = head.page.pgno;
    advance(heap, head);
  }
}

/** Moves the first head to its input's next page. */
function advance(heap: Head[], head: Head): void {
  const next = head.pages.next();
  if (next.done) {
    const last = heap.pop();
    if (last && last !== head) siftDown(heap, last);
    return;
  }
  const { pgno } = next.value;
  if (pgno <= head.page.pgno) {
    refuse(`in one file page ${pgno} follows page ${head.page.pgno}`);
  }
  head.page = next.value;
  siftDown(heap, head);
}

/** The order in which heads are taken: by page, of one page the newest version first. */
function isBefore(a: Head, b: Head): boolean {
  return a.page.pgno < b.page.pgno || (a.page.pgno === b.page.pgno && a.rank > b.rank);
}

/** Puts `head` into the binary heap, from its end upwards. */
function siftUp(heap: Head[], head: Head): void {
  let index = heap.push(head) - 1;
  while (index > 0) {
    const parent = (index - 1) >> 1;
    if (!isBefore(head, heap[parent])) break;
    heap[index] = heap[parent];
    index = parent;
  }
  heap[index] = head;
}

/** Puts `head` into the place of the binary heap's first, downwards. */
function siftDown(heap: Head[], head: Head): void {
  let index = 0;
  for (let child = 1; child < heap.length; child = 2 * index + 1) {
    if (child + 1 < heap.length && isBefore(heap[child + 1], heap[child])) child++;
    if (!isBefore(heap[child], head)) break;
    heap[index] = heap[child];
    index = child;
  }
  heap[index] = head;
}

function refuse(what: string): never {
  throw new ReplicaError("CORRUPT_PAGE", `the LTX files cannot be merged: ${what}`);
}
