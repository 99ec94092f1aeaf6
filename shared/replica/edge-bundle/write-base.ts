import { assert } from "../../assert.ts";
import { ReplicaError } from "../../errors.ts";
import { decodePageFrame } from "../../ltx/page-frame.ts";
import { formatTxid, type Txid } from "../../ltx/txid.ts";
import { childPgnos } from "../../sqlite/btree-page.ts";
import { BaseWriter, type BaseRecord } from "./base-writer.ts";
import type { BaseReference } from "./bundle-format.ts";
import type { BundleSink } from "./bundle-sink.ts";
import type { UnitPlace } from "./location-coding.ts";
import type { ScannedFile } from "./scan-files.ts";
import type { ScannedState } from "./scanned-state.ts";
import { readSchemaPages } from "./schema-pages.ts";

/** A base that was written, and where its records are, by page number. */
export interface WrittenBase {
  readonly reference: BaseReference;
  readonly records: ReadonlyMap<number, UnitPlace>;
}

/**
 * Writes the base of a state into the sink, piece by piece.
 *
 * @param scanned The files that make the state, in their order.
 * @throws {ReplicaError} `CORRUPT_PAGE` when a page is missing; what the sink throws.
 */
export async function writeBase(
  state: ScannedState,
  scanned: readonly ScannedFile[],
  sink: BundleSink,
): Promise<WrittenBase> {
  const newest = scanned.at(-1);
  assert(newest, "a plan holds at least one file");
  const { commit, pageSize, file } = newest;
  refuseMissing(state, commit, file.maxTxid);
  const { roots } = await readSchemaPages((pgno) => state.read(pgno), commit);
  const levels = state.levels([1, ...roots], commit);
  const writer = new BaseWriter({
    pageSize,
    commit,
    txid: file.maxTxid,
    files: scanned.map((each) => each.file),
  });
  let reference: BaseReference | undefined;
  async function* body() {
    yield writer.begin();
    for (const level of levels.toReversed()) {
      for (const pgno of level) yield writer.record(recordOf(state, pgno));
    }
    for (let part = 0; part < writer.partCount; part++) {
      yield writer.part((pgno) => state.locate(pgno));
    }
    const end = writer.finish();
    reference = end.reference;
    yield end.bytes;
  }
  await sink.base({ txid: file.maxTxid, id: writer.id }, body());
  assert(reference, "a base is taken to its end");
  return { reference, records: writer.records };
}

function recordOf(state: ScannedState, pgno: number): BaseRecord {
  const frame = state.frame(pgno);
  const location = state.locate(pgno);
  assert(frame && location, "an interior page is among those that were scanned");
  const { page } = decodePageFrame(frame, state.pageSize);
  const pgnos = [...(childPgnos(pgno, page) ?? [])];
  const children = pgnos.map((child) => ({ pgno: child, location: state.locate(child) }));
  return { pgno, frame, location, children };
}

/** @throws {ReplicaError} `CORRUPT_PAGE` when a page of the database is in none of the files. */
export function refuseMissing(state: ScannedState, commit: number, txid = 0n): void {
  const missing = state.firstMissing(commit);
  if (missing === undefined) return;
  const sentence = `page ${missing} of ${commit} is in none of the LTX files that make TXID ${formatTxid(txid as Txid)}`;
  throw new ReplicaError("CORRUPT_PAGE", sentence);
}
