import { ReplicaError } from "../../shared/errors.ts";
import type { StatementHandle } from "./build.ts";
import { findCertainScans, type Instruction, USING_P3, USING_P5 } from "./certain-scans.ts";
import type { Session } from "./session.ts";
import { encodeSql, isSelect } from "./sql-text.ts";

const SQLITE_DONE = 101;
const EXPLAIN = encodeSql("EXPLAIN ");
/** Without it a SELECT reads no tree. */
const FROM = /from/i;
/**
 * Without any of these, each row that is read is one of the result, where whoever reads that may stop; but for what
 * is in a view. To ask nothing of such a statement spares a cold isolate the time to compile what asking takes.
 */
const GATHERS = /\(|\b(?:except|group|in|intersect|join|order|union)\b|\bfrom\b[^]*,/i;
/** Bytes of a text that is compiled once more. */
const SQL_BYTES_MAX = 4_000;
const NO_SCANS: readonly number[] = [];

/** Columns of EXPLAIN: the address comes first, and P4 before P5. */
const COLUMNS = { opcode: 1, p1: 2, p2: 3, p3: 4, p5: 6 } as const;

/**
 * The roots of the trees that a statement reads as a whole if it reads anything of them: SQLite is asked for its
 * program. Whatever comes of asking is nobody's business: then there are none.
 *
 * Asking compiles the statement once more, so it is not done where that was much work, nor where nobody wants to know.
 *
 * @param sql Of a statement that was just compiled, and has not run.
 */
export async function explainScans(session: Session, sql: Uint8Array): Promise<readonly number[]> {
  const { live, connection, query, request } = session;
  if (query.source.expectScans === undefined) return NO_SCANS;
  if (sql.length > SQL_BYTES_MAX || !isSelect(sql)) return NO_SCANS;
  if (!FROM.test(request.sql) || !GATHERS.test(request.sql)) return NO_SCANS;
  if (live.sqlite.stepsUsed(connection.db) > 0) return NO_SCANS;
  const { denied, deterministic, writes, failure } = query;
  try {
    return findCertainScans(await readProgram(session, sql));
  } catch (error) {
    if (live.isRetired || !(error instanceof ReplicaError)) throw error;
    return NO_SCANS;
  } finally {
    // The authorizer has been asked the same once more: what it said before holds.
    Object.assign(query, { denied, deterministic, writes, failure });
  }
}

async function readProgram(session: Session, sql: Uint8Array): Promise<Instruction[]> {
  const { live, stack, connection } = session;
  const { sqlite } = live;
  const text = new Uint8Array(EXPLAIN.length + sql.length);
  text.set(EXPLAIN);
  text.set(sql, EXPLAIN.length);
  const { statement } = await sqlite.prepare(stack, connection.db, text);
  live.throwIfRetired();
  if (statement === undefined) return [];
  const program: Instruction[] = [];
  const code = await sqlite.step(stack, statement, () => {
    program.push(readInstruction(session, statement));
    return false;
  });
  live.throwIfRetired();
  sqlite.finalize(statement);
  return code === SQLITE_DONE ? program : [];
}

/** What is not looked at is not read: it is most of what asking costs. */
function readInstruction({ live }: Session, statement: StatementHandle): Instruction {
  const read = (column: number) => live.sqlite.columnValue(statement, column);
  const opcode = String(read(COLUMNS.opcode));
  return {
    opcode,
    p1: Number(read(COLUMNS.p1)),
    p2: Number(read(COLUMNS.p2)),
    p3: USING_P3.has(opcode) ? Number(read(COLUMNS.p3)) : 0,
    p5: USING_P5.has(opcode) ? Number(read(COLUMNS.p5)) : 0,
  };
}
