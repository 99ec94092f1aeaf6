/** One SQLite value. An INTEGER is always a bigint and a REAL always a number, so 2 and 2.0 differ. */
export type SqlValue = null | bigint | number | string | Uint8Array;

/** Arguments by position, or by name with or without the prefix (`:`, `@`, `$`). */
export type SqlArgs = readonly SqlValue[] | Readonly<Record<string, SqlValue>>;
