import * as fc from "fast-check";
import { describe, it } from "vitest";
import { storeSink } from "../../../shared/replica/edge-bundle/bundle-sink.ts";
import {
  updateBundle,
  type BundleReport,
} from "../../../shared/replica/edge-bundle/update-bundle.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import { expectBundleTruth, rowsSql } from "../../support/bundle-fixtures.ts";
import { putSpans } from "../../support/ltx-spans.ts";
import { makeDatabaseImages } from "../../support/database-images.ts";
import type { Images } from "../../support/ltx-from-images.ts";
import { replicaIn } from "../../support/replica-fixtures.ts";

const VACUUM = "COMMIT; VACUUM; BEGIN";

/** A life of a database: it grows, ages, shrinks, is vacuumed, and gets new tables. */
const LIFE = [
  rowsSql("a", 2_000),
  "INSERT INTO a SELECT id * 7919 + 100000, 'n' || id, v FROM a WHERE id % 5 = 0",
  "CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO w SELECT k || id, v FROM a",
  "UPDATE a SET v = 'y' || v WHERE id % 13 = 0",
  "INSERT INTO w VALUES ('long', zeroblob(40000)); DELETE FROM a WHERE id % 3 = 0",
  "DROP INDEX a_k",
  "CREATE INDEX a_v ON a (v, k)",
  "DELETE FROM w WHERE k < 'k5'",
  VACUUM,
  rowsSql("b", 300),
  "DELETE FROM a",
  VACUUM,
  "INSERT INTO b SELECT id + 1000, k, v || v FROM b",
  "UPDATE b SET k = 'z' || k",
];

/** What may happen to the replica between two transactions. */
type Step = "compact" | "compact twice" | "snapshot" | "retain" | "index" | "nothing";

/** A replica that follows the life, with the files that a replicator would have in it. */
class GrowingReplica {
  readonly replica: Replica = replicaIn(new MemoryStore());
  readonly #images: Images;
  readonly #ends: [number, number, number] = [0, 0, 0];
  #snapshot = 0;
  head = 0;

  constructor(images: Images) {
    this.#images = images;
  }

  async commit(): Promise<void> {
    this.head++;
    await putSpans(this.replica, this.#images, [[0, this.head, this.head]]);
    this.#ends[0] = this.head;
  }

  /** Merges what a level has and the next one lacks. */
  async compact(level: 1 | 2): Promise<void> {
    const [from, to] = [this.#ends[level], this.#ends[level - 1]];
    if (from === to) return;
    await putSpans(this.replica, this.#images, [[level, from + 1, to]]);
    this.#ends[level] = to;
  }

  async snapshot(): Promise<void> {
    await putSpans(this.replica, this.#images, [[9, 1, this.head]]);
    this.#snapshot = this.head;
  }

  /** Deletes what the snapshot covers, and files of level 0 that level 1 covers; never the newest. */
  async retain(): Promise<void> {
    const { objects } = await this.replica.store.list({ prefix: "db/" });
    const doomed = objects.filter(({ key }) => {
      const [, level, min, max] = /\/(\d{4})\/([0-9a-f]{16})-([0-9a-f]{16})\.ltx$/.exec(key) ?? [];
      if (level === undefined || min === undefined || max === undefined) return false;
      const [first, last] = [Number.parseInt(min, 16), Number.parseInt(max, 16)];
      if (level === "0000") return last <= this.#ends[1] && last < this.head;
      return (
        last <= this.#snapshot && !(level === "0009" && last === this.#snapshot && first === 1)
      );
    });
    await this.replica.store.delete(doomed.map(({ key }) => key));
  }

  async step(step: Step): Promise<BundleReport | undefined> {
    if (step === "compact" || step === "compact twice") await this.compact(1);
    if (step === "compact twice") await this.compact(2);
    if (step === "snapshot") await this.snapshot();
    if (step === "retain") await this.retain();
    if (step !== "index") return undefined;
    return updateBundle(this.replica, storeSink(this.replica), { hotBytesMax: 20_000 });
  }
}

const images = new Map<string, Images>();

/** The life on pages of some size, made once. */
function lifeOf(pageSize: number, autoVacuum: boolean): Images {
  const name = `${pageSize} ${autoVacuum}`;
  const first = autoVacuum ? ["COMMIT; PRAGMA auto_vacuum = 1; VACUUM; BEGIN"] : [];
  const made =
    images.get(name) ?? makeDatabaseImages({ pageSize, transactions: [...first, ...LIFE] });
  images.set(name, made);
  return made;
}

describe("updateBundle", () => {
  it.each([
    [512, false],
    [512, true],
    [1024, false],
    [4096, true],
    [65_536, false],
  ])(
    "says of every page where it lies, whatever became of the files: %i bytes, auto-vacuum %s",
    async (pageSize, autoVacuum) => {
      const life = lifeOf(pageSize, autoVacuum);
      const step = fc.constantFrom<Step>(
        ...(["compact", "compact twice", "snapshot", "retain", "index", "nothing"] as const),
      );
      const steps = fc.array(fc.array(step, { maxLength: 4 }), {
        minLength: life.versions.length,
        maxLength: life.versions.length,
      });
      await fc.assert(
        fc.asyncProperty(steps, async (all) => {
          const growing = new GrowingReplica(life);
          for (const between of all) {
            await growing.commit();
            for (const each of between) await growing.step(each);
            if (between.includes("index") && growing.head % 3 === 0) {
              await growing.step("index");
              await expectBundleTruth(growing.replica, life, growing.head);
            }
          }
          await growing.step("index");
          await expectBundleTruth(growing.replica, life, growing.head);
        }),
        { numRuns: pageSize === 65_536 ? 2 : 3 },
      );
    },
    120_000,
  );
});
