import type { UnitPlace, VerifiableLocation } from "./location-coding.ts";

/** One state of a database, as far as a bundle is made from it. */
export interface BundleSource {
  /** In bytes. */
  readonly pageSize: number;
  /** Size of the database, in pages. */
  readonly commit: number;
  /** Null when no file holds the page. */
  locate(pgno: number): Promise<VerifiableLocation | null>;
  /** @throws {ReplicaError} `CORRUPT_PAGE` when it cannot be read, or is not what its checksum says. */
  read(pgno: number): Promise<Uint8Array>;
  /** Whether a page that a tree leads to is an interior one. */
  isInterior(pgno: number): boolean;
  /** Where the base has a record of a page that has not changed since. */
  record(pgno: number): UnitPlace | undefined;
}
