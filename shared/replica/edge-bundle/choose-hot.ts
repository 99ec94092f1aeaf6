/** The pages that a head carries: those that every query needs first. */
import { assert } from "../../assert.ts";
import { encodePageFrame, pageFrameBytesMax } from "../../ltx/page-frame.ts";
import { childPgnos } from "../../sqlite/btree-page.ts";
import type { BundleRoot, HotRecord } from "./bundle-format.ts";
import { encodeRecord } from "./bundle-record.ts";
import type { BundleSource } from "./bundle-source.ts";
import { readSchemaPages } from "./schema-pages.ts";

/** What the pages in a head take at most, in bytes; page 1 is there in any case. */
const HOT_BYTES_MAX = 512 * 1024;
/** The tables that ANALYZE fills have a row an index; those of a database with thousands of them are read when they are needed. */
const STATISTICS_PAGES_MAX = 32;
/** A database with more tables and indexes than this has the others' roots in the page map. */
const ROOTS_MAX = 4_096;

export interface HotPages {
  readonly hot: readonly HotRecord[];
  /** Ascending. */
  readonly roots: readonly BundleRoot[];
}

/**
 * Chooses page 1, the schema's pages, then interior pages level by level from the roots, as many as fit.
 * Those of which the base has no record come first: without one in the head, they would take two reads
 * more. Of the others, a level comes in when at least half of it fits: a head that is read and written
 * whole is not to be filled with pages that hardly any query meets.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when a page cannot be read.
 */
export async function chooseHot(
  source: BundleSource,
  bytesMax: number = HOT_BYTES_MAX,
): Promise<HotPages> {
  const schema = await readSchemaPages((pgno) => source.read(pgno), source.commit);
  const roots: BundleRoot[] = [];
  for (const pgno of schema.roots.slice(0, ROOTS_MAX)) {
    const location = await source.locate(pgno);
    if (location) roots.push({ pgno, location, record: source.record(pgno) });
  }
  const records = new HotRecords(source, bytesMax);
  for (const pgno of schema.pgnos) await records.add(pgno);
  await addStatistics(source, records, schema.statistics);
  let level: number[] = [];
  for (const pgno of schema.roots) if (await source.isInterior(pgno)) level.push(pgno);
  // Bounded by the interior pages: none is added twice.
  while (level.length > 0 && !records.isFull) {
    const next = new Map<number, readonly number[]>();
    const changed = level.filter((pgno) => source.record(pgno) === undefined);
    for (const pgno of changed) next.set(pgno, await records.add(pgno));
    const others = level.filter((pgno) => source.record(pgno) !== undefined);
    if (others.length > 0 && (await records.hasRoomForHalf(others))) {
      for (const pgno of others) next.set(pgno, await records.add(pgno));
    }
    level = level.flatMap((pgno) => next.get(pgno) ?? []);
  }
  return { hot: records.records, roots };
}

/** Adds what ANALYZE has found out, as far as it is small: SQLite reads it with the schema, leaves and all. */
async function addStatistics(
  source: BundleSource,
  records: HotRecords,
  roots: readonly number[],
): Promise<void> {
  const queue = [...roots];
  // Bounded by the pages that are taken.
  for (const pgno of queue) {
    if (queue.length > STATISTICS_PAGES_MAX) return;
    await records.add(pgno);
    queue.push(...(childPgnos(pgno, await source.read(pgno)) ?? []));
  }
}

/** The records so far, and what is left of their room. */
class HotRecords {
  readonly records: HotRecord[] = [];
  isFull = false;
  readonly #source: BundleSource;
  readonly #bytesMax: number;
  readonly #added = new Set<number>();
  #bytes = 0;

  constructor(source: BundleSource, bytesMax: number) {
    this.#source = source;
    this.#bytesMax = bytesMax;
  }

  /** Adds a page, if it fits and is not there; returns those of its children that are interior pages. */
  async add(pgno: number): Promise<readonly number[]> {
    if (this.isFull || this.#added.has(pgno)) return [];
    this.#added.add(pgno);
    const { bytes, interior } = await this.#encode(pgno);
    this.#bytes += bytes.length;
    if (this.#bytes > this.#bytesMax && pgno !== 1) {
      this.isFull = true;
      return [];
    }
    this.records.push({ pgno, bytes });
    return interior;
  }

  /** Whether half of some pages fit, if all of them are as large as the first. */
  async hasRoomForHalf(pgnos: readonly number[]): Promise<boolean> {
    const { bytes } = await this.#encode(pgnos[0]);
    return (bytes.length * pgnos.length) / 2 <= this.#bytesMax - this.#bytes;
  }

  async #encode(pgno: number): Promise<{ bytes: Uint8Array; interior: readonly number[] }> {
    const page = await this.#source.read(pgno);
    const isInterior = await this.#source.isInterior(pgno);
    const pgnos = isInterior ? childPgnos(pgno, page) : undefined;
    const children = pgnos && (await this.#source.children(pgno, pgnos));
    const target = new Uint8Array(pageFrameBytesMax(page.length));
    const frame = target.subarray(0, encodePageFrame({ pgno, page }, target, "block"));
    const location = await this.#source.locate(pgno);
    assert(location, "a page that was read lies somewhere");
    const bytes = encodeRecord({ frame, location, children: children?.located });
    return { bytes, interior: children?.interior ?? [] };
  }
}
