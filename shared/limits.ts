/** Bounds that more than one room knows. A bound that only one file needs stands in that file. */

/** Largest page that SQLite and LTX allow, in bytes. */
export const PAGE_SIZE_MAX = 65_536;

/** Smallest page that SQLite and LTX allow, in bytes. */
export const PAGE_SIZE_MIN = 512;

/** Compaction levels; 9 holds snapshots. */
export const LEVEL_MAX = 9;
export const SNAPSHOT_LEVEL = 9;

/** Requests to one store in flight at a time: a Worker's seventh connection queues. */
export const STORE_REQUESTS_MAX = 6;

/** Objects in one page of a listing, as S3 and R2 bound it. */
export const LIST_PAGE_MAX = 1_000;

/** Largest body that goes up in one create-only PUT; larger ones go by multipart. In bytes. */
export const SINGLE_PUT_BYTES_MAX = 64 * 1024 * 1024;
