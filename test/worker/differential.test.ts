/**
 * Thousands of generated queries over replicas of every page size and history: the rows must be those of
 * the real SQLite on the restored file. `npm run differential -- --seed N --queries M` asks others.
 */
import { beforeAll, describe, expect, inject, it } from "vitest";
import { isReplicaError } from "../../shared/errors.ts";
import { seededRandom, type Random } from "../../tools/demo/random.ts";
import { Engine } from "../../worker/sqlite/engine.ts";
import { runQuery } from "../../worker/sqlite/run-query.ts";
import type { SqlValue } from "../../worker/sqlite/values.ts";
import { inline, type Parametrized } from "../support/differential/parameters.ts";
import {
  comparable,
  type Answer,
  type Feature,
  type Question,
  type TaggedValue,
} from "../support/differential/protocol.ts";
import { shrink } from "./support-differential/shrink.ts";
import {
  nativeAnswer,
  openSubject,
  readerOf,
  type OpenSubject,
} from "./support-differential/subjects.ts";
import { build, forBuild } from "./support-engine/build-under-test.ts";
import { LIMITS, tag } from "./support-engine/sources.ts";

const { seed, queries, nativeVersion } = inject("differential");
/** At least one for each page size; each answers some hundreds of questions. */
const SUBJECTS = Math.max(8, Math.ceil(queries / 1_000));
const CONCURRENT = 64;
const FAILURES_MAX = 3;
/** Wide: a long run asks for an hour. */
const TIMEOUT_MS = 120_000 + queries * 100;

/** What the build can be asked beside plain tables. */
const FEATURES: readonly Feature[] = forBuild({ sqljs: ["fts3"], official: ["fts5", "rtree"] });

interface Asked {
  readonly open: OpenSubject;
  readonly question: Question;
}

interface Failed extends Asked {
  /** What came, among the others. */
  readonly answer: Answer;
}

let subjects: OpenSubject[];
beforeAll(async () => {
  const random = seededRandom(seed);
  subjects = [];
  for (let index = 0; index < SUBJECTS; index++) {
    subjects.push(await openSubject(index, Math.ceil(queries / SUBJECTS), random));
  }
}, TIMEOUT_MS);

let sources = 0;

/** Asks over a connection of its own, or over one that other queries leave and find again. */
async function ours(engine: Engine, { open, question }: Asked, isCold: boolean): Promise<Answer> {
  const { version, sql, args } = question;
  const name = `${open.index} ${open.subject.versions[version]}`;
  using source = readerOf(open, version);
  try {
    const { rows } = await runQuery(engine, {
      source,
      sourceKey: isCold ? `${name} ${sources++}` : name,
      sql,
      args: args.map(untag),
      limits: LIMITS,
    });
    return { rows: rows.map((row) => row.map(tag)) };
  } catch (error) {
    if (!isReplicaError(error)) throw error;
    const isOfSqlite = error.code === "SQLITE_ERROR" || error.code === "SQL_PARSE";
    return { error: isOfSqlite ? error.message : `${error.code}: ${error.message}` };
  }
}

function untag([type, text]: TaggedValue): SqlValue {
  if (type === "integer") return BigInt(text);
  return type === "real" ? Number(text) : text;
}

function isEqual(a: Answer, b: Answer, isOrdered: boolean): boolean {
  if ("error" in a || "error" in b) return "error" in a && "error" in b && a.error === b.error;
  const [left, right] = [comparable(a.rows, isOrdered), comparable(b.rows, isOrdered)];
  return left.length === right.length && left.every((row, index) => row === right[index]);
}

/** All of them at random, so many at a time; those that answered otherwise than the real SQLite. */
async function askAll(engine: Engine, asked: readonly Asked[], random: Random): Promise<Failed[]> {
  const failed: Failed[] = [];
  const queue = [...asked];
  const lane = async (): Promise<void> => {
    for (let next = take(); next !== undefined; next = take()) {
      const answer = await ours(engine, next, random.below(2) === 0);
      const { answer: expected, isOrdered } = next.question;
      if (!isEqual(answer, expected, isOrdered)) failed.push({ ...next, answer });
    }
  };
  function take(): Asked | undefined {
    return failed.length >= FAILURES_MAX
      ? undefined
      : queue.splice(random.below(queue.length), 1)[0];
  }
  await Promise.all(Array.from({ length: CONCURRENT }, lane));
  return failed;
}

async function versionOf(engine: Engine, [asked]: readonly Asked[]): Promise<string> {
  if (asked === undefined) throw new Error("no question");
  const question = { ...asked.question, sql: "SELECT sqlite_version()", args: [] };
  const answer = await ours(engine, { ...asked, question }, true);
  return "rows" in answer ? (answer.rows[0]?.[0]?.[1] ?? "") : answer.error;
}

/** Of an answer the rows, or some of them, that the other lacks. */
function show(answer: Answer, other: Answer): string {
  if ("error" in answer) return answer.error;
  const others = new Set("error" in other ? [] : comparable(other.rows, true));
  const own = comparable(answer.rows, true).filter((row) => !others.has(row));
  return `${answer.rows.length} rows, of which only here: ${own.slice(0, 5).join(" ").slice(0, 1_000)}`;
}

/** What to look at: the smallest statement that still differs, and both answers to it. */
async function explain(failure: Failed): Promise<string> {
  const { open, question } = failure;
  const { version, isOrdered } = question;
  const differs = async (query: Parametrized): Promise<string | undefined> => {
    const expected = await nativeAnswer(open, version, query);
    // What is left of the statement must still be one.
    if ("error" in expected && "rows" in question.answer) return undefined;
    const actual = await ours(
      new Engine(build),
      { open, question: { ...question, ...query } },
      true,
    );
    if (isEqual(actual, expected, isOrdered)) return undefined;
    const text = [query.sql, ...query.args.map((value) => JSON.stringify(value))].join(" ");
    return `${text}\n  real SQLite: ${show(expected, actual)}\n  this engine: ${show(actual, expected)}`;
  };
  const about = `${open.subject.name}, version ${open.subject.versions[version]}, ${build.name}`;
  const alone = await differs(question);
  if (alone === undefined) {
    const among = show(failure.answer, question.answer);
    return `${about}: right when asked alone, and among others ${among}\n${inline(question)}`;
  }
  const literal = (sql: string): Promise<string | undefined> => differs({ sql, args: [] });
  const short = await literal(await shrink(inline(question), literal));
  return `${about}\n${alone}\nin short\n${short ?? "right with its arguments as literals"}`;
}

describe(`the engine on ${build.name}`, () => {
  const title = `${queries} queries with seed ${seed} have the rows of SQLite ${nativeVersion}`;
  it(title, { timeout: TIMEOUT_MS }, async () => {
    const random = seededRandom(seed + 1);
    const asked = subjects.flatMap((open) =>
      open.subject.questions
        .filter(({ needs }) => needs.every((feature) => FEATURES.includes(feature)))
        .map((question) => ({ open, question })),
    );
    const engine = new Engine(build);
    const startedAtMs = Date.now();
    const failed = await askAll(engine, asked, random);
    const version = await versionOf(engine, asked);
    console.log(
      `${build.name}: ${asked.length} queries, seed ${seed}: SQLite ${version} here, ${nativeVersion} there; ${Date.now() - startedAtMs} ms`,
    );
    const reports = [];
    for (const failure of failed) reports.push(await explain(failure));
    expect(reports.join("\n\n")).toBe("");
    expect(asked.length).toBeGreaterThan(queries / 2);
    expect(engine.stats()).toMatchObject({
      running: 0,
      waiting: 0,
      busyConnections: 0,
      retired: 0,
    });
  });
});
