/**
 * Thousands of generated queries over replicas of every page size and history: the rows must be those of
 * the real SQLite on the restored file. `npm run differential -- --seed N --queries M` asks others.
 */
import { beforeAll, describe, expect, inject, it } from "vitest";
import { isReplicaError } from "../../shared/errors.ts";
import { seededRandom, type Random } from "../../tools/demo/random.ts";
import type { SqliteBuild } from "../../worker/sqlite/build.ts";
import { Engine } from "../../worker/sqlite/engine.ts";
import { runQuery } from "../../worker/sqlite/run-query.ts";
import { sqljsBuild } from "../../worker/sqlite/sqljs/sqljs-instance.ts";
import {
  comparable,
  type Answer,
  type Feature,
  type Question,
} from "../support/differential/protocol.ts";
import { shrink } from "./support-differential/shrink.ts";
import {
  nativeAnswer,
  openSubject,
  readerOf,
  type OpenSubject,
} from "./support-differential/subjects.ts";
import { LIMITS, tag } from "./support-engine/sources.ts";

const { seed, queries, nativeVersion } = inject("differential");
/** At least one for each page size; each answers some hundreds of questions. */
const SUBJECTS = Math.max(8, Math.ceil(queries / 1_000));
const CONCURRENT = 64;
const FAILURES_MAX = 3;
/** Wide: a long run asks for an hour. */
const TIMEOUT_MS = 120_000 + queries * 100;

const BUILDS: readonly { build: SqliteBuild; features: readonly Feature[] }[] = [
  { build: sqljsBuild, features: ["fts3"] },
];

interface Asked {
  readonly open: OpenSubject;
  readonly question: Question;
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
  const { version, sql } = question;
  const name = `${open.index} ${open.subject.versions[version]}`;
  try {
    const { rows } = await runQuery(engine, {
      source: readerOf(open, version),
      sourceKey: isCold ? `${name} ${sources++}` : name,
      sql,
      args: [],
      limits: LIMITS,
    });
    return { rows: rows.map((row) => row.map(tag)) };
  } catch (error) {
    if (isReplicaError(error, "SQLITE_ERROR") || isReplicaError(error, "SQL_PARSE")) {
      return { error: error.message };
    }
    throw error;
  }
}

function isEqual(a: Answer, b: Answer, isOrdered: boolean): boolean {
  if ("error" in a || "error" in b) return "error" in a && "error" in b && a.error === b.error;
  const [left, right] = [comparable(a.rows, isOrdered), comparable(b.rows, isOrdered)];
  return left.length === right.length && left.every((row, index) => row === right[index]);
}

/** All of them at random, so many at a time; those that answered otherwise than the real SQLite. */
async function askAll(engine: Engine, asked: readonly Asked[], random: Random): Promise<Asked[]> {
  const failed: Asked[] = [];
  const queue = [...asked];
  const lane = async (): Promise<void> => {
    for (let next = take(); next !== undefined; next = take()) {
      const answer = await ours(engine, next, random.below(2) === 0);
      if (!isEqual(answer, next.question.answer, next.question.isOrdered)) failed.push(next);
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
  const question = { ...asked.question, sql: "SELECT sqlite_version()" };
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
async function explain(build: SqliteBuild, failure: Asked): Promise<string> {
  const { open, question } = failure;
  const { version, isOrdered } = question;
  const differs = async (sql: string): Promise<string | undefined> => {
    const expected = await nativeAnswer(open, version, sql);
    const actual = await ours(new Engine(build), { open, question: { ...question, sql } }, true);
    if (isEqual(actual, expected, isOrdered)) return undefined;
    return `${sql}\n  real SQLite: ${show(expected, actual)}\n  this engine: ${show(actual, expected)}`;
  };
  const about = `${open.subject.name}, version ${open.subject.versions[version]}, ${build.name}`;
  const alone = await differs(question.sql);
  if (alone === undefined) return `${about}: right when asked alone\n${question.sql}`;
  return `${about}\n${alone}\nin short\n${(await differs(await shrink(question.sql, differs))) ?? ""}`;
}

describe.each(BUILDS)("on $build.name", ({ build, features }) => {
  const title = `${queries} queries with seed ${seed} have the rows of SQLite ${nativeVersion}`;
  it(title, { timeout: TIMEOUT_MS }, async () => {
    const random = seededRandom(seed + 1);
    const asked = subjects.flatMap((open) =>
      open.subject.questions
        .filter(({ needs }) => needs.every((feature) => features.includes(feature)))
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
    for (const failure of failed) reports.push(await explain(build, failure));
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
