/** Page sources over the databases of `test/support/engine-databases.ts`. */
import { inject } from "vitest";
import type { SqliteBuild } from "../../../worker/sqlite/build.ts";
import type { PageSource } from "../../../worker/sqlite/page-source.ts";
import type { QueryLimits, QueryRequest } from "../../../worker/sqlite/run-query.ts";
import type { SqlValue } from "../../../worker/sqlite/values.ts";
import { build, forBuild } from "./build-under-test.ts";

/** [type, text], as the answers of the real SQLite are written down. */
export type TaggedValue = readonly [string, string];

export interface EngineDatabase {
  readonly pageSize: number;
  readonly bytes: Uint8Array;
  readonly answers: readonly { readonly sql: string; readonly rows: readonly TaggedValue[][] }[];
}

declare module "vitest" {
  interface ProvidedContext {
    readonly engineDatabases: Readonly<
      Record<string, Pick<EngineDatabase, "pageSize" | "answers"> & { readonly base64: string }>
    >;
  }
}

export const LIMITS: QueryLimits = {
  rowsMax: 10_000,
  resultBytesMax: 10_000_000,
  vmStepsMax: 100_000_000,
  faultsMax: 10_000,
};

/** What only one build can read all of: the official one has no UTF-16 either. */
const ONLY: Readonly<Record<string, SqliteBuild["name"]>> = {
  "UTF-16 little endian": "sqljs",
  "UTF-16 big endian": "sqljs",
  "with FTS4": "sqljs",
  "with FTS5 and R*Tree": "official",
};

/** Names of the databases that the build under test can read all of. */
export const DATABASES = Object.keys(inject("engineDatabases")).filter(
  (name) => ONLY[name] === undefined || ONLY[name] === build.name,
);

/** One with a full-text table `notes`, in the module that the build under test has. */
export const FULL_TEXT = forBuild({ sqljs: "with FTS4", official: "with FTS5 and R*Tree" });

export function database(name: string): EngineDatabase {
  const found = inject("engineDatabases")[name];
  if (found === undefined) throw new Error(`no database ${name}`);
  const { base64, pageSize, answers } = found;
  return {
    pageSize,
    answers,
    bytes: Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)),
  };
}

export interface SlowSource extends PageSource {
  /** Pages that were waited for. */
  readonly loads: number;
  /** Roots of the trees that the statement which ran last was said to read as a whole. */
  readonly expected: readonly number[];
}

/** Pages of `bytes` that are there only after `delay` has resolved; nothing is resident at first. */
export function slowSource(
  { bytes, pageSize }: Pick<EngineDatabase, "bytes" | "pageSize">,
  delay: (pgno: number, signal?: AbortSignal) => Promise<void> = () => Promise.resolve(),
): SlowSource {
  const pages = new Map<number, Uint8Array>();
  return {
    loads: 0,
    expected: [],
    pageSize,
    pageCount: bytes.length / pageSize,
    resident: (pgno) => pages.get(pgno),
    async load(pgno, signal) {
      (this as { loads: number }).loads++;
      await delay(pgno, signal);
      pages.set(pgno, bytes.subarray((pgno - 1) * pageSize, pgno * pageSize));
    },
    expectScans(rootPgnos) {
      (this as { expected: readonly number[] }).expected = rootPgnos;
    },
  };
}

export function afterMs(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** A request with room for everything; `over` says what is different. */
export function request(
  over: Partial<QueryRequest> & Pick<QueryRequest, "source" | "sql">,
): QueryRequest {
  return { sourceKey: "test@1", args: [], limits: LIMITS, ...over };
}

export function tag(value: SqlValue): TaggedValue {
  if (value === null) return ["null", ""];
  if (typeof value === "bigint") return ["integer", value.toString()];
  if (typeof value === "number") return ["real", Object.is(value, -0) ? "-0" : String(value)];
  if (typeof value === "string") return ["text", value];
  return ["blob", Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("")];
}
