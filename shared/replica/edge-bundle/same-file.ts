import type { LtxKey } from "../ltx-key.ts";
import type { Etag } from "../../storage/object-store.ts";

type Identified = LtxKey & { readonly etag: Etag };

/** Whether a file of a bundle is one that was listed: the same place, and the same content in it. */
export function isSameFile(a: Identified, b: Identified): boolean {
  return (
    a.level === b.level && a.minTxid === b.minTxid && a.maxTxid === b.maxTxid && a.etag === b.etag
  );
}
