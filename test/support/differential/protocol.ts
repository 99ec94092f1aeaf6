/** What the differential test's two sides tell each other: Node makes the questions, workerd answers them. */

/** One value as JSON: [type, text]. */
export type TaggedValue = readonly [string, string];

/** What a statement gives on the real SQLite. */
export type Answer =
  | { readonly rows: readonly (readonly TaggedValue[])[] }
  | { readonly error: string };

/** What a build of SQLite must have to be asked. */
export type Feature = "fts3" | "fts5" | "rtree";

export interface Question {
  /** Index of one of the database's versions. */
  readonly version: number;
  readonly sql: string;
  readonly needs: readonly Feature[];
  /** The rows come in an order that the statement demands, so it must be the same. */
  readonly isOrdered: boolean;
  readonly answer: Answer;
}

/** A replica, and questions about versions of its database. */
export interface Subject {
  /** What distinguishes its database: page size, history, seed. */
  readonly name: string;
  readonly pageSize: number;
  readonly objects: readonly {
    readonly key: string;
    readonly base64: string;
    readonly metadata: Readonly<Record<string, string>>;
  }[];
  /** TXIDs, 16 hex digits each; the last is the newest. */
  readonly versions: readonly string[];
  /** Levels at which it has files, and how many. */
  readonly files: Readonly<Record<string, number>>;
  readonly questions: readonly Question[];
}

/** What the two runs of one test are about. */
export interface DifferentialSettings {
  readonly seed: number;
  /** Questions for each build of SQLite. */
  readonly queries: number;
  /** Where Node answers, on this machine. */
  readonly url: string;
  readonly nativeVersion: string;
}

/** Rows as they are compared: where no order is demanded, in one that depends on nothing but them. */
export function comparable(
  rows: readonly (readonly TaggedValue[])[],
  isOrdered: boolean,
): readonly string[] {
  const lines = rows.map((row) => JSON.stringify(row));
  return isOrdered ? lines : lines.toSorted();
}
