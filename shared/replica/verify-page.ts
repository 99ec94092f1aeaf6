import { ReplicaError } from "../errors.ts";
import { pageChecksum32 } from "../ltx/checksum.ts";
import { formatTxid } from "../ltx/txid.ts";
import type { PageLocation } from "./page-locator.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * Holds a page against its checksum, where its location has one.
 *
 * @returns Whether there was one: a page without it may be damaged.
 * @throws {ReplicaError} `CORRUPT_PAGE`, naming object, page and TXID.
 */
export function verifyPage(
  { files, txid }: Pick<Snapshot, "files" | "txid">,
  { pgno, file, checksum }: PageLocation & { readonly pgno: number },
  page: Uint8Array,
): boolean {
  if (checksum === undefined) return false;
  if (pageChecksum32(pgno, page) === checksum) return true;
  throw new ReplicaError(
    "CORRUPT_PAGE",
    `"${files[file].key}" is damaged: page ${pgno} at TXID ${formatTxid(txid)} does not match its checksum`,
  );
}
