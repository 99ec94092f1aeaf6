/** The queries of the cold path's tables, and what they took. */
import type { DelayingProxy, ProxyCounts } from "./delaying-proxy.ts";
import type { Answer, Question, Reader } from "./readers.ts";
import { emailOf } from "./shop-database.ts";

export interface Step {
  readonly name: string;
  /** What we aim at, as the table shows it. */
  readonly goal: string;
  ask(rows: number): Question;
  /** The peer would take many minutes. */
  readonly isOursOnly?: boolean;
}

export const POINT_SQL = "SELECT id, email, score FROM items WHERE id = ?";
const RANGE_SQL = "SELECT id, score FROM items WHERE id BETWEEN ? AND ?";

/** The first query of an isolate that has read nothing. */
export const FIRST: Step = {
  name: "cold, first point query",
  goal: "",
  ask: (rows) => ({ sql: POINT_SQL, args: [Math.floor(rows * 0.31)] }),
};

/** What comes after it, on the shop's database. */
export const STEPS: readonly Step[] = [
  {
    name: "point query, another leaf",
    goal: "30 ms",
    ask: (rows) => ({ sql: POINT_SQL, args: [Math.floor(rows * 0.62)] }),
  },
  {
    name: "secondary index",
    goal: "56 ms",
    ask: (rows) => ({
      sql: "SELECT id, name FROM items WHERE email = ?",
      args: [emailOf(Math.floor(rows * 0.47))],
    }),
  },
  rangeStep("100-row range", 0.8),
  {
    name: "20 rows through an index",
    goal: "150 ms",
    ask: () => ({
      sql: "SELECT id, name, score FROM items WHERE category = ? ORDER BY created LIMIT 20",
      args: [17],
    }),
  },
  {
    name: "count(*)",
    goal: "200 ms",
    ask: () => ({ sql: "SELECT count(*) FROM items", args: [] }),
  },
  {
    name: "full scan with sum",
    goal: "800 ms",
    ask: () => ({ sql: "SELECT round(sum(score), 1) FROM items", args: [] }),
    isOursOnly: true,
  },
];

/** What comes after it on the aged database. */
export const AGED_STEPS: readonly Step[] = [rangeStep("100-row range, aged", 0.4)];

function rangeStep(name: string, share: number): Step {
  const first = (rows: number) => Math.floor(rows * share);
  return {
    name,
    goal: "60 ms",
    ask: (rows) => ({ sql: RANGE_SQL, args: [first(rows), first(rows) + 99] }),
  };
}

export interface Measured extends ProxyCounts, Answer {}

/** Asks once, and says what it took. */
export async function measure(
  reader: Reader,
  proxy: DelayingProxy,
  question: Question,
): Promise<Measured> {
  proxy.take();
  const answer = await reader.ask(question);
  return { ...answer, ...proxy.take() };
}
