export type Call = (...args: number[]) => number;

/** The C functions that every build exports; the first three run on a private stack, and may suspend. */
export interface CFunctions {
  readonly open: (stack: number, name: number, out: number) => Promise<number>;
  readonly prepare: (
    stack: number,
    db: number,
    sql: number,
    bytes: number,
    out: number,
    tail: number,
  ) => Promise<number>;
  readonly step: (stack: number, statement: number) => Promise<number>;
  readonly malloc: Call;
  readonly free: Call;
  readonly close: Call;
  readonly finalize: Call;
  readonly reset: Call;
  readonly clearBindings: Call;
  readonly errmsg: Call;
  readonly bindText: Call;
  readonly bindBlob: Call;
  readonly bindDouble: Call;
  readonly bindParameterIndex: Call;
  readonly columnCount: Call;
  readonly columnName: Call;
  readonly columnType: Call;
  readonly columnDouble: Call;
  readonly columnText: Call;
  readonly columnBlob: Call;
  readonly columnBytes: Call;
}

/** What those functions are called in C, where the names differ from build to build. */
export type CSymbol =
  | "sqlite3_open"
  | "sqlite3_close_v2"
  | "sqlite3_prepare_v2"
  | "sqlite3_step"
  | "sqlite3_finalize"
  | "sqlite3_reset"
  | "sqlite3_clear_bindings"
  | "sqlite3_errmsg"
  | "sqlite3_bind_blob"
  | "sqlite3_bind_double"
  | "sqlite3_bind_text"
  | "sqlite3_bind_parameter_index"
  | "sqlite3_column_count"
  | "sqlite3_column_name"
  | "sqlite3_column_type"
  | "sqlite3_column_double"
  | "sqlite3_column_text"
  | "sqlite3_column_blob"
  | "sqlite3_column_bytes"
  | "malloc"
  | "free"
  | "stackRestore"
  | "stackSave";
