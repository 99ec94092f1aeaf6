/** What a bundle's two objects hold. `docs/edge-bundle.md` has the bytes. */
import type { Txid } from "../../ltx/txid.ts";
import type { TxidRange } from "../../ltx/file-name.ts";
import type { Etag } from "../../storage/object-store.ts";
import type { UnitPlace, VerifiableLocation } from "./location-coding.ts";

/** Changes with everything that an older reader would misread. */
export const BUNDLE_VERSION = 1;

/** An LTX file that a bundle names, and what it is known again by. */
export interface BundleFile extends TxidRange {
  readonly level: number;
  readonly sizeBytes: number;
  /** The header's stamp, in milliseconds since the Unix epoch. */
  readonly timestampMs: number;
  /** The file's own checksum, its last eight bytes: the same in every copy. */
  readonly fileChecksum: bigint;
  /** What the store called this content when the bundle was written. */
  readonly etag: Etag;
}

/** What a head says of the base that it goes with. */
export interface BaseReference {
  /** The state that the base describes, all of it. */
  readonly txid: Txid;
  /** Names what the base was made of; every part of it is sealed with it. */
  readonly id: bigint;
  /** Size of the database at `txid`, in pages. */
  readonly commit: number;
  /** The first files of the head's table: the base names files by their index in it. */
  readonly fileCount: number;
  readonly sizeBytes: number;
  /** CRC-64 of the whole object, for whoever reads all of it. */
  readonly checksum: bigint;
  /** Where the page map begins, in bytes; its parts follow one another. */
  readonly mapOffset: number;
  /** Pages that one part of the map covers. */
  readonly partPages: number;
  /** Size of each part, in bytes. */
  readonly partSizes: Uint32Array;
}

/** A root of a B-tree, and where the base has its record when it is an interior page. */
export interface BundleRoot {
  readonly pgno: number;
  readonly location: VerifiableLocation;
  readonly record?: UnitPlace | undefined;
}

/** A page that a head carries, as `encodeRecord` wrote it. */
export interface HotRecord {
  readonly pgno: number;
  readonly bytes: Uint8Array;
}

/** The state that a bundle describes. */
export interface BundleState {
  /** In bytes. */
  readonly pageSize: number;
  /** Size of the database, in pages. */
  readonly commit: number;
  readonly txid: Txid;
  /** Stamp of the newest file, in milliseconds since the Unix epoch. */
  readonly timestampMs: number;
  /** A restore plan, in its order: those of the base, then those of the delta. */
  readonly files: readonly BundleFile[];
  readonly base: BaseReference;
}

/** Pages of a map's part: doubled for large databases, so that the list of the parts stays small. */
const PART_PAGES_MIN = 1_024;
/** What a head lists of parts, at most. */
const PARTS_MAX = 4_096;

/** How many pages one part of the map covers, for a database of `commit` pages. */
export function partPagesOf(commit: number): number {
  let pages = PART_PAGES_MIN;
  while (Math.ceil(commit / pages) > PARTS_MAX) pages *= 2;
  return pages;
}
