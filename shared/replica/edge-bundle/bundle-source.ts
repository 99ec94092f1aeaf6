import type { RecordChild } from "./bundle-record.ts";
import type { UnitPlace, VerifiableLocation } from "./location-coding.ts";

/** The children of an interior page: where they lie, and which are interior pages themselves. */
export interface Children {
  /** In the order in which the page names them. */
  readonly located: readonly RecordChild[];
  readonly interior: readonly number[];
}

/** One state of a database, as far as a head is made from it. */
export interface BundleSource {
  /** Size of the database, in pages. */
  readonly commit: number;
  /** Null when no file holds the page. */
  locate(pgno: number): Promise<VerifiableLocation | null>;
  /** @throws {ReplicaError} `CORRUPT_PAGE` when it cannot be read, or is not what its checksum says. */
  read(pgno: number): Promise<Uint8Array>;
  /** Whether a root is an interior page, or a page of the schema is. */
  isInterior(pgno: number): Promise<boolean>;
  /** Where the base has a record of a page that has not changed since. */
  record(pgno: number): UnitPlace | undefined;
  /** Undefined where it would take too many reads to find them: then the page stands without them. */
  children(pgno: number, pgnos: Uint32Array): Promise<Children | undefined>;
}
