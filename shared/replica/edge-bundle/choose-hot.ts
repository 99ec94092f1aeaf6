/** The pages that a head carries: those that every query needs first. */
import { encodePageFrame, pageFrameBytesMax } from "../../ltx/page-frame.ts";
import { childPgnos } from "../../sqlite/btree-page.ts";
import type { BundleRoot, HotRecord } from "./bundle-format.ts";
import { encodeRecord, type RecordChild } from "./bundle-record.ts";
import type { BundleSource } from "./bundle-source.ts";
import { readSchemaPages } from "./schema-pages.ts";

/** What the pages in a head take at most, in bytes; page 1 is there in any case. */
const HOT_BYTES_MAX = 512 * 1024;
/** A database with more tables and indexes than this has the others' roots in the page map. */
const ROOTS_MAX = 4_096;

export interface HotPages {
  readonly hot: readonly HotRecord[];
  readonly roots: readonly BundleRoot[];
}

/**
 * Chooses page 1, the schema's pages, then interior pages level by level from the roots, as many as fit.
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
  const hot: HotRecord[] = [];
  const queue = [...schema.pgnos, ...schema.roots.filter((pgno) => source.isInterior(pgno))];
  const queued = new Set(queue);
  let bytes = 0;
  // Bounded by the database: every page is queued once.
  for (const pgno of queue) {
    const page = await source.read(pgno);
    const children = source.isInterior(pgno) ? childPgnos(pgno, page) : undefined;
    const record = await encodePage(source, pgno, page, children);
    bytes += record.length;
    if (bytes > bytesMax && hot.length > 0) break;
    hot.push({ pgno, bytes: record });
    for (const child of children ?? []) {
      if (queued.has(child) || !source.isInterior(child)) continue;
      queued.add(child);
      queue.push(child);
    }
  }
  return { hot, roots };
}

async function encodePage(
  source: BundleSource,
  pgno: number,
  page: Uint8Array,
  childrenPgnos: Uint32Array | undefined,
): Promise<Uint8Array> {
  const target = new Uint8Array(pageFrameBytesMax(page.length));
  const frame = target.subarray(0, encodePageFrame({ pgno, page }, target, "block"));
  const location = await source.locate(pgno);
  if (!location) throw new Error(`page ${pgno} was read and lies nowhere`);
  if (!childrenPgnos) return encodeRecord({ frame, location });
  const children: RecordChild[] = [];
  for (const child of childrenPgnos) {
    const record = source.record(child);
    children.push({ pgno: child, location: await source.locate(child), record });
  }
  return encodeRecord({ frame, location, children });
}
