/** What the tests use of sql.js, which has no types of its own. */
declare module "sql.js" {
  export interface Database {
    exec(sql: string): { readonly values: readonly (readonly unknown[])[] }[];
    close(): void;
  }
  /** `bytes` is asked for its length, for one `slice` of all of it, and for a `subarray` at each read. */
  export default function initSqlJs(): Promise<{
    readonly Database: new (bytes: Uint8Array) => Database;
  }>;
}
