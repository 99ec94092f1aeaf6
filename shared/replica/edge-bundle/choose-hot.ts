/** The pages that a head carries: those that every query needs first. */
import { assert } from "../../assert.ts";
import { encodePageFrame, pageFrameBytesMax } from "../../ltx/page-frame.ts";
import { childPgnos } from "../../sqlite/btree-page.ts";
import type { BundleRoot, HotRecord } from "./bundle-format.ts";
import { encodeRecord } from "./bundle-record.ts";
import type { BundleSource, Children } from "./bundle-source.ts";
import { readSchemaPages } from "./schema-pages.ts";

/** What the pages in a head take at most, in bytes; page 1 is there in any case. */
const HOT_BYTES_MAX = 512 * 1024;
/** A database with more tables and indexes than this has the others' roots in the page map. */
const ROOTS_MAX = 4_096;

export interface HotPages {
  readonly hot: readonly HotRecord[];
  /** Ascending. */
  readonly roots: readonly BundleRoot[];
}

/**
 * Chooses page 1, the schema's pages, then interior pages level by level from the roots, as many as fit.
 * Of a level that does not fit as a whole, those come first of which the base has no record: without
 * one in the head, they would take two reads more.
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
  let level: number[] = [];
  for (const pgno of schema.roots) if (await source.isInterior(pgno)) level.push(pgno);
  // Bounded by the interior pages: none is added twice.
  while (level.length > 0 && !records.isFull) {
    const isInBase = (pgno: number) => source.record(pgno) !== undefined;
    const order = level.toSorted((a, b) => Number(isInBase(a)) - Number(isInBase(b)));
    const next = new Map<number, readonly number[]>();
    for (const pgno of order) {
      if (records.isFull) break;
      next.set(pgno, await records.add(pgno));
    }
    level = level.flatMap((pgno) => next.get(pgno) ?? []);
  }
  return { hot: records.records, roots };
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
    const page = await this.#source.read(pgno);
    const isInterior = await this.#source.isInterior(pgno);
    const pgnos = isInterior ? childPgnos(pgno, page) : undefined;
    const children = pgnos && (await this.#source.children(pgno, pgnos));
    const bytes = await this.#encode(pgno, page, children);
    this.#bytes += bytes.length;
    if (this.#bytes > this.#bytesMax && pgno !== 1) {
      this.isFull = true;
      return [];
    }
    this.records.push({ pgno, bytes });
    return children?.interior ?? [];
  }

  async #encode(pgno: number, page: Uint8Array, children: Children | undefined) {
    const target = new Uint8Array(pageFrameBytesMax(page.length));
    const frame = target.subarray(0, encodePageFrame({ pgno, page }, target, "block"));
    const location = await this.#source.locate(pgno);
    assert(location, "a page that was read lies somewhere");
    return encodeRecord({ frame, location, children: children?.located });
  }
}
