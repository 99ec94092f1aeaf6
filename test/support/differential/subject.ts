/** A replica made by the replicator, and what the real SQLite answers on the files restored from it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { assert } from "../../../shared/assert.ts";
import { isReplicaError } from "../../../shared/errors.ts";
import { formatTxid, toTxid, type Txid } from "../../../shared/ltx/txid.ts";
import { listAllFiles } from "../../../shared/replica/load-plan.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { seededRandom, type Random } from "../../../tools/demo/random.ts";
import { MaintenanceFixture } from "../maintenance-fixture.ts";
import { replicaIn } from "../replica-fixtures.ts";
import { restoredImage } from "../restored-image.ts";
import { HISTORIES } from "./histories.ts";
import type { Answer, Question, Subject, TaggedValue } from "./protocol.ts";
import { generateQuery, type GeneratedQuery } from "./queries.ts";
import { SCHEMA } from "./schema.ts";

const PAGE_SIZES = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536] as const;
/** Answers of more rows, or of more text than this, are counted instead. */
const ROWS_MAX = 300;
const ANSWER_LENGTH_MAX = 50_000;
const OLD_VERSIONS_MAX = 2;

/** Which subject of which run: together they decide everything about it. */
export interface SubjectId {
  readonly seed: number;
  readonly index: number;
  readonly queries: number;
}

export class LiveSubject implements Disposable {
  readonly subject: Subject;
  readonly #folder: string;
  readonly #versions: readonly DatabaseSync[];

  private constructor(subject: Subject, folder: string, versions: readonly DatabaseSync[]) {
    this.subject = subject;
    this.#folder = folder;
    this.#versions = versions;
  }

  static async make({ seed, index, queries }: SubjectId): Promise<LiveSubject> {
    const random = seededRandom(seed * 1_000 + index);
    const pageSize = PAGE_SIZES[index % PAGE_SIZES.length];
    const history = HISTORIES[(index + Math.floor(index / 8) + seed) % HISTORIES.length];
    // A midnight, so that the levels' intervals begin here.
    const clock = { nowMs: Date.UTC(2026, 10, 26) };
    const replica = replicaIn(new MemoryStore({ now: () => clock.nowMs }));
    const { autoVacuum } = history;
    const head = await replicate();
    const folder = mkdtempSync(join(tmpdir(), "eddy-differential-"));
    const txids = await restorable(replica, head, random);
    const versions = await Promise.all(
      txids.map(async (txid) => openRestored(join(folder, `${txid}.db`), replica, txid)),
    );
    const subject: Subject = {
      name: `${pageSize}-byte pages, ${history.name}, seed ${seed}, database ${index}`,
      pageSize,
      ...(await contents(replica)),
      versions: txids.map(formatTxid),
      questions: Array.from({ length: queries }, () => ask(random, versions)),
    };
    return new LiveSubject(subject, folder, versions);

    async function replicate(): Promise<Txid> {
      const options = { pageSize, autoVacuum, cachePages: 30 };
      using fixture = await MaintenanceFixture.start(replica, clock, options);
      await fixture.commit(1, `BEGIN; ${SCHEMA}; COMMIT`);
      await history.run(fixture, random);
      const { txid } = fixture.capture.capture;
      assert(txid, "the history has a transaction");
      return txid;
    }
  }

  answer(version: number, sql: string): Answer {
    const database = this.#versions[version];
    return database === undefined ? { error: "no such version" } : answerOf(database, sql);
  }

  [Symbol.dispose](): void {
    for (const version of this.#versions) version.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Some older TXIDs that can still be restored, and the newest. */
async function restorable(replica: Replica, head: Txid, random: Random): Promise<Txid[]> {
  const found = new Set<Txid>();
  for (let tries = 0; tries < 8 && found.size < OLD_VERSIONS_MAX; tries++) {
    const txid = toTxid(2n + BigInt(random.below(Math.max(1, Number(head) - 2))));
    if (txid >= head) continue;
    try {
      await restoredImage(replica, { kind: "txid", txid });
      found.add(txid);
    } catch (error) {
      if (!isReplicaError(error, "VERSION_EXPIRED")) throw error;
    }
  }
  return [...found, head];
}

async function openRestored(path: string, replica: Replica, txid: Txid): Promise<DatabaseSync> {
  writeFileSync(path, await restoredImage(replica, { kind: "txid", txid }));
  return new DatabaseSync(path);
}

async function contents(replica: Replica): Promise<Pick<Subject, "objects" | "files">> {
  const files: Record<string, number> = {};
  const objects = [];
  for (const { key, level } of await listAllFiles(replica)) {
    const stored = await replica.store.get(key);
    if (stored === undefined) throw new Error(`${key} is gone`);
    files[level] = (files[level] ?? 0) + 1;
    const { bytes, metadata } = stored;
    objects.push({ key, base64: Buffer.from(bytes).toString("base64"), metadata });
  }
  return { objects, files };
}

function ask(random: Random, versions: readonly DatabaseSync[]): Question {
  const version = random.below(versions.length);
  const database = versions[version];
  const query = generateQuery(random);
  const answer = answerOf(database, query.sql);
  if ("error" in answer || isSmall(answer.rows)) return { version, ...query, answer };
  const counted: GeneratedQuery = {
    ...query,
    sql: `SELECT count(*), count(DISTINCT c0), min(typeof(c0)), max(typeof(c0)) FROM (${query.sql})`,
  };
  return { version, ...counted, answer: answerOf(database, counted.sql) };
}

function isSmall(rows: readonly unknown[]): boolean {
  return rows.length <= ROWS_MAX && JSON.stringify(rows).length <= ANSWER_LENGTH_MAX;
}

function answerOf(database: DatabaseSync, sql: string): Answer {
  try {
    const statement = database.prepare(sql);
    statement.setReadBigInts(true);
    statement.setReturnArrays(true);
    const rows = statement.all() as unknown as SQLInputValue[][];
    return { rows: rows.map((row) => row.map(tag)) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

function tag(value: SQLInputValue): TaggedValue {
  if (value === null) return ["null", ""];
  if (typeof value === "bigint") return ["integer", value.toString()];
  if (typeof value === "number") return ["real", Object.is(value, -0) ? "-0" : String(value)];
  if (typeof value === "string") return ["text", value];
  return ["blob", Buffer.from(value as Uint8Array).toString("hex")];
}
