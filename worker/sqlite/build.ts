import type { SqlValue } from "./values.ts";

/**
 * The seam between the engine and a build of SQLite: a small table of functions over wasm memory.
 * Pool, page faults, policy, budgets and results are above it and know no build.
 */
export interface SqliteBuild {
  readonly name: "sqljs" | "official";
  /** Modules, in lower case, that a virtual table of a schema can be made with. */
  readonly modules: ReadonlySet<string>;
  /** Whether it reads databases whose texts are in UTF-16; a build that does not takes them for UTF-8. */
  readonly readsUtf16: boolean;
  /**
   * A new instance with a memory of its own.
   *
   * @param mayGrowTo Asked before that memory grows to so many bytes; false is SQLITE_NOMEM.
   */
  instantiate(mayGrowTo: (bytes: number) => boolean): SqliteInstance;
}

/** Address of a `sqlite3*` in an instance's memory. */
export type DatabaseHandle = number & { readonly database: unique symbol };

/** Address of a `sqlite3_stmt*` in an instance's memory. */
export type StatementHandle = number & { readonly statement: unique symbol };

/** A private C stack: it grows down from `top`; the canary lies at its lower end. */
export interface PrivateStack {
  readonly base: number;
  readonly top: number;
}

/** A file as SQLite sees it: read-only, of a fixed length. */
export interface ReadableFile {
  readonly sizeBytes: number;
  /** Fills `target` from `position` and gives back the bytes it had, or -1 where a page is missing. */
  read(position: number, target: Uint8Array): number;
  /** Fetches what the last `read` missed. False makes the read fail with SQLITE_IOERR. */
  fault(): Promise<boolean>;
}

/** What SQLite asks of its authorizer; the code says what the texts mean. */
export interface AuthorizerQuestion {
  readonly action: number;
  readonly first: string | null;
  readonly second: string | null;
  /**
   * Whether the constructor of a virtual table asks, while it opens one: then the statement is the
   * module's own, and no query's. It is only a question while the authorizer is being asked.
   */
  isInConstructor(): boolean;
}

/** What a connection is given by whoever runs a query on it. */
export interface ConnectionHost {
  /** 0 to allow, 1 to fail the statement, 2 to leave the access out. */
  authorize(question: AuthorizerQuestion): number;
  /** Lets other work of the isolate run; true interrupts the statement. */
  rest(): Promise<boolean>;
}

export interface Prepared {
  readonly code: number;
  /** Undefined where the text holds no statement or does not compile. */
  readonly statement: StatementHandle | undefined;
  /** Bytes of the text that the statement took. */
  readonly usedBytes: number;
}

/**
 * One instance of SQLite. Functions that return a promise may read pages, and suspend while they are
 * fetched; several may be suspended at a time, each on a stack and a connection of its own. All others
 * are synchronous. A `ReplicaError` it throws is in order; whatever else it throws is foreign, and
 * then the instance must not be used again.
 */
export interface SqliteInstance {
  /** Bytes of wasm memory; it never shrinks. */
  readonly memoryBytes: number;
  /** Makes whatever is suspended fail with `error` when it would go on. */
  retire(error: Error): void;
  createStack(): PrivateStack;
  /** False once something has written below the stack: then no address can be trusted. */
  isStackIntact(stack: PrivateStack): boolean;
  /** Bytes of the stack that were ever used, for tests and statistics. */
  stackBytesUsed(stack: PrivateStack): number;

  open(stack: PrivateStack, file: ReadableFile): Promise<{ code: number; db: DatabaseHandle }>;
  close(db: DatabaseHandle): void;
  /** SQLite's limits by number. */
  setLimits(db: DatabaseHandle, limits: ReadonlyMap<number, number>): void;
  setHost(db: DatabaseHandle, host: ConnectionHost): void;
  /** Starts counting VM steps anew. */
  setStepsMax(db: DatabaseHandle, steps: number): void;
  stepsUsed(db: DatabaseHandle): number;

  prepare(stack: PrivateStack, db: DatabaseHandle, sql: Uint8Array): Promise<Prepared>;
  /** Steps until the end (101), an error, or until `onRow` gives back true (100). */
  step(stack: PrivateStack, statement: StatementHandle, onRow: () => boolean): Promise<number>;
  finalize(statement: StatementHandle): void;
  /** Makes a statement ready to run again, all of its parameters NULL. */
  reset(statement: StatementHandle): void;

  /** SQLite's code: 25 where the statement has no such parameter. */
  bind(statement: StatementHandle, index: number, value: SqlValue): number;
  /** 1-based index of a parameter by its name with its prefix; 0 where there is none. */
  parameterIndex(statement: StatementHandle, name: string): number;
  columnCount(statement: StatementHandle): number;
  columnName(statement: StatementHandle, index: number): string;
  columnDecltype(statement: StatementHandle, index: number): string | null;
  columnValue(statement: StatementHandle, index: number): SqlValue;

  errorMessage(db: DatabaseHandle): string;
  /** The extended code of the last error. */
  errorCode(db: DatabaseHandle): number;
  /** Bytes of the text before the token that the last error is about; -1 where it is about none. */
  errorOffset(db: DatabaseHandle): number;
}
