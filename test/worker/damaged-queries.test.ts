/** SQL over a replica that is damaged here and there: the rows are right, or the error has a name. */
import { beforeEach, describe, expect, test, vi } from "vitest";
import { isReplicaError } from "../../shared/errors.ts";
import {
  DamagedStore,
  copyObjects,
  flipBit,
  takeObjects,
  type DamageNaming,
} from "../support/damaged-store.ts";
import { coldReader } from "../support/workerd/cold-reader.ts";
import { ledgerReplica, singles } from "../support/workerd/ledger.ts";

/** Between them they read every page of the table, and of its index. */
const QUERIES = [
  "SELECT count(*), sum(account), sum(length(note)), max(note) FROM entries",
  "SELECT account, count(*) FROM entries GROUP BY account ORDER BY account",
  "SELECT id, note FROM entries WHERE account = 11 ORDER BY id",
  "SELECT note FROM entries WHERE id IN (1, 1000, 2500, 3999)",
] as const;
const FLIPS_EACH = 20;

interface Answer {
  readonly rows: readonly unknown[];
  readonly verified: boolean;
}

async function answerOf(
  reader: ReturnType<typeof coldReader>,
  sql: string,
  at?: string,
): Promise<Answer | string> {
  try {
    const { rows, verified } = await reader.query(sql, { at });
    return { rows, verified };
  } catch (error) {
    return isReplicaError(error) ? error.code : `foreign: ${String(error)}`;
  }
}

beforeEach(() => {
  // One line for each bundle that is dropped.
  vi.spyOn(console, "warn").mockImplementation(() => {});
});

describe.each(["sqljs", "official"] as const)("queries in %s", { timeout: 200_000 }, (engine) => {
  test("answer right rows or CORRUPT_PAGE, whichever bit is turned over", async () => {
    const ledger = ledgerReplica();
    await ledger.put([9, 1, 5], [1, 6, 10], ...singles(10, 13));
    await ledger.bundle(4_000);
    await ledger.put(...singles(14, 16));
    const sound = await takeObjects(ledger.memory, "db");
    const truths = new Map<string, readonly unknown[]>();
    for (const sql of QUERIES) {
      truths.set(sql, (await coldReader(ledger.memory, { engine }).query(sql)).rows);
    }
    const wrong: string[] = [];
    const counts = { right: 0, refused: 0 };
    let state = 8;
    const chance = (bound: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * bound);
    };
    for (const objects of [sound, copyObjects(sound)]) {
      const keys = [...objects.keys()];
      for (const sql of QUERIES) {
        for (let trial = 0; trial < FLIPS_EACH; trial++) {
          // Half of them in the snapshot, which is the largest.
          const key =
            trial % 2 === 0
              ? keys.find((each) => each.includes("/0009/"))
              : keys[chance(keys.length)];
          const bytes = (key !== undefined && objects.get(key)?.bytes) || new Uint8Array();
          const bit = chance(8 * bytes.length);
          const naming: DamageNaming = trial % 4 < 2 ? "by another ETag" : "as before";
          const store = new DamagedStore(objects, { key: key ?? "", damage: flipBit(bit), naming });
          store.strike();
          const at = trial % 5 === 0 ? "txid:16" : undefined;
          const answer = await answerOf(coldReader(store, { engine }), sql, at);
          const isRight =
            typeof answer !== "string" &&
            JSON.stringify(answer.rows) === JSON.stringify(truths.get(sql));
          if (isRight) counts.right++;
          else if (answer === "CORRUPT_PAGE") counts.refused++;
          else
            wrong.push(
              `${sql}, ${key} bit ${bit}, ${naming}: ${JSON.stringify(answer).slice(0, 200)}`,
            );
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(counts.right).toBeGreaterThan(30);
    expect(counts.refused).toBeGreaterThan(20);
  });
});
