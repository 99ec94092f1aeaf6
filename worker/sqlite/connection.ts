import { ReplicaError } from "../../shared/errors.ts";
import type {
  AuthorizerQuestion,
  ConnectionHost,
  DatabaseHandle,
  PrivateStack,
  SqliteBuild,
  SqliteInstance,
} from "./build.ts";
import { LazyFile, type PageFaults } from "./lazy-file.ts";
import type { PageSource } from "./page-source.ts";
import { readSqliteError } from "./query-error.ts";
import { ALLOW, changesRows, DENY, judge, SQLITE_LIMITS } from "./sandbox.ts";
import { StatementCache } from "./statement-cache.ts";

/**
 * What each connection is told before its sandbox closes. Sorts in memory are under the heap limit;
 * in a file they would not be. The cache that counts is the page cache below.
 */
function openingPragmas(
  { pageSize, isVerifiable }: PageSource,
  heapBytesMax: number,
): readonly string[] {
  const cacheKib = Math.max(256, (pageSize * 8) / 1024);
  return [
    // Of the whole instance; a pragma can lower it and never raise it.
    `hard_heap_limit=${heapBytesMax}`,
    "temp_store=2",
    `cache_size=-${cacheKib}`,
    // Each cell of each page that SQLite reads, each time: half of what a warm scan of an index takes. Where a
    // page is as it was written, it finds nothing.
    `cell_size_check=${isVerifiable === true ? 0 : 1}`,
  ];
}

function unsupportedEncoding({ name }: SqliteBuild): ReplicaError {
  const sentence = `the texts of the database are in UTF-16, which the engine ${name} cannot read`;
  return new ReplicaError("UNSUPPORTED_MODULE", sentence);
}

/** What the authorizer saw of one statement, and whether it may go on. */
export interface StatementWatch {
  /** Why the statement was refused. */
  denied: string | undefined;
  deterministic: boolean;
  /** Set when the statement is prepared, and runs. */
  readonly isRunning: boolean;
  /** The statement is compiled and never run. */
  readonly isDescribed: boolean;
  /** It would change rows; only what is described gets as far. */
  writes: boolean;
  /** Told that the statement nests more than its stack can hold. */
  nestedTooDeeply(): void;
  /** Lets others run; true interrupts the statement. */
  rest(): Promise<boolean>;
}

export interface ConnectionOptions {
  readonly build: SqliteBuild;
  readonly instance: SqliteInstance;
  readonly stack: PrivateStack;
  readonly heapBytesMax: number;
  readonly sourceKey: string;
  readonly faults: PageFaults;
}

/** One SQLite connection to one database at one TXID. One statement runs on it at a time. */
export class Connection implements ConnectionHost {
  readonly sourceKey: string;
  readonly instance: SqliteInstance;
  readonly db: DatabaseHandle;
  readonly statements: StatementCache;
  readonly #file: LazyFile;
  #watch: StatementWatch | undefined;

  private constructor(options: ConnectionOptions, file: LazyFile, db: DatabaseHandle) {
    this.sourceKey = options.sourceKey;
    this.instance = options.instance;
    this.db = db;
    this.statements = new StatementCache(options.instance);
    this.#file = file;
  }

  /**
   * Opens a connection; pages that are missing are fetched on the way.
   *
   * @throws {ReplicaError} What SQLite says of the database. Nothing is left open then.
   */
  static async open(options: ConnectionOptions): Promise<Connection> {
    const { build, instance, stack, sourceKey, faults, heapBytesMax } = options;
    const { pageSize, pageCount } = faults.source;
    const file = new LazyFile({ pageSize, pageCount, sourceKey });
    file.serve(faults);
    const { code, db } = await instance.open(stack, file);
    const connection = new Connection(options, file, db);
    try {
      if (code !== 0) throw readSqliteError(instance, db, "open");
      if (file.isUtf16 && !build.readsUtf16) throw unsupportedEncoding(build);
      for (const pragma of openingPragmas(faults.source, heapBytesMax)) {
        await connection.#runPragma(stack, pragma);
      }
      instance.setLimits(db, SQLITE_LIMITS);
      instance.setHost(db, connection);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /** Gives the connection to one query, or takes it back. */
  serve(query: { faults: PageFaults; watch: StatementWatch; stepsMax: number } | undefined): void {
    this.#file.serve(query?.faults);
    this.#watch = query?.watch;
    if (query !== undefined) this.instance.setStepsMax(this.db, query.stepsMax);
  }

  close(): void {
    this.serve(undefined);
    this.statements.clear();
    this.instance.close(this.db);
  }

  authorize(question: AuthorizerQuestion): number {
    const watch = this.#watch;
    if (question.isStackLow) {
      watch?.nestedTooDeeply();
      return DENY;
    }
    const { answer, reason, notDeterministic } = judge(question, watch?.isRunning === true);
    if (watch === undefined) return answer;
    if (answer !== ALLOW && watch.isDescribed && changesRows(question)) {
      watch.writes = true;
      return ALLOW;
    }
    if (answer !== ALLOW && reason !== undefined) watch.denied ??= reason;
    if (notDeterministic === true) watch.deterministic = false;
    return answer;
  }

  rest(): Promise<boolean> {
    return this.#watch?.rest() ?? Promise.resolve(true);
  }

  async #runPragma(stack: PrivateStack, pragma: string): Promise<void> {
    const sql = new TextEncoder().encode(`PRAGMA ${pragma}`);
    const { statement } = await this.instance.prepare(stack, this.db, sql);
    if (statement === undefined) throw readSqliteError(this.instance, this.db, "open");
    const code = await this.instance.step(stack, statement, () => false);
    const failed = code === 101 ? undefined : readSqliteError(this.instance, this.db, "open");
    this.instance.finalize(statement);
    if (failed !== undefined) throw failed;
  }
}
