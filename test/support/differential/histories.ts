/** How a database came to be as it is: what its replica is made of depends on it. */
import type { Random } from "../../../tools/demo/random.ts";
import type { MaintenanceFixture } from "../maintenance-fixture.ts";
import { writes } from "./schema.ts";

const MINUTE_MS = 60_000;

export interface History {
  readonly name: string;
  readonly autoVacuum: 0 | 1 | 2;
  run(fixture: MaintenanceFixture, random: Random): Promise<void>;
}

async function commitEach(
  fixture: MaintenanceFixture,
  count: number,
  sql: (index: number) => string,
): Promise<void> {
  for (let index = 0; index < count; index++) {
    await fixture.commit(1, `BEGIN; ${sql(index)}; COMMIT`);
  }
}

function filler(random: Random, rows: number): string {
  return `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${rows})
    INSERT OR REPLACE INTO filler SELECT i * ${1 + random.below(5)}, randomblob(${100 + random.below(900)}) FROM c`;
}

export const HISTORIES: readonly History[] = [
  {
    name: "one transaction",
    autoVacuum: 0,
    run: (fixture, random) => commitEach(fixture, 1, () => writes(random, 900)),
  },
  {
    name: "many transactions in the log",
    autoVacuum: 0,
    async run(fixture, random) {
      await commitEach(fixture, 50, () => writes(random, 30));
      for (let index = 0; index < 30; index++) {
        fixture.live.exec(`BEGIN; ${writes(random, 3)}; COMMIT`);
      }
      await fixture.ship();
    },
  },
  {
    name: "levels and snapshots",
    autoVacuum: 0,
    async run(fixture, random) {
      for (let round = 0; round < 5; round++) {
        await commitEach(fixture, 8, () => writes(random, 25));
        await fixture.pass(round === 2 ? 25 * 60 * MINUTE_MS : 6 * MINUTE_MS);
      }
      await commitEach(fixture, 5, () => writes(random, 6));
    },
  },
  {
    name: "vacuumed",
    autoVacuum: 0,
    async run(fixture, random) {
      await commitEach(fixture, 10, () => `${writes(random, 80)}; ${filler(random, 150)}`);
      await fixture.commit(1, "DELETE FROM filler");
      await fixture.commit(1, "VACUUM");
      await fixture.pass(6 * MINUTE_MS);
      await commitEach(fixture, 4, () => writes(random, 30));
    },
  },
  {
    name: "full auto-vacuum",
    autoVacuum: 1,
    async run(fixture, random) {
      await commitEach(fixture, 12, (index) =>
        index % 3 === 2
          ? `DELETE FROM filler WHERE id % 3 = ${random.below(3)}; ${writes(random, 40)}`
          : `${writes(random, 90)}; ${filler(random, 200)}`,
      );
      await fixture.commit(1, "DELETE FROM filler");
      await fixture.pass(6 * MINUTE_MS);
      await commitEach(fixture, 3, () => writes(random, 20));
    },
  },
  {
    name: "incremental auto-vacuum",
    autoVacuum: 2,
    async run(fixture, random) {
      await commitEach(fixture, 8, () => `${writes(random, 110)}; ${filler(random, 150)}`);
      for (let round = 0; round < 6; round++) {
        await fixture.commit(1, `DELETE FROM filler WHERE id % 7 = ${round}`);
        fixture.live.app.prepare(`PRAGMA incremental_vacuum(${3 + random.below(30)})`).all();
        await fixture.commit(1, `BEGIN; ${writes(random, 10)}; COMMIT`);
      }
      await fixture.pass(MINUTE_MS);
    },
  },
  {
    name: "shrunk and grown again",
    autoVacuum: 0,
    async run(fixture, random) {
      await commitEach(fixture, 8, () => `${writes(random, 110)}; ${filler(random, 250)}`);
      await fixture.commit(1, "BEGIN; DELETE FROM filler; DELETE FROM items WHERE id % 2; COMMIT");
      await commitEach(fixture, 8, () => writes(random, 40));
      await fixture.commit(1, "VACUUM");
      await commitEach(fixture, 3, () => `${writes(random, 30)}; ${filler(random, 60)}`);
      await fixture.pass(6 * MINUTE_MS);
      await fixture.commit(1, `BEGIN; ${writes(random, 10)}; COMMIT`);
    },
  },
  {
    name: "aged by random writes",
    autoVacuum: 0,
    async run(fixture, random) {
      await commitEach(fixture, 2, () => `${writes(random, 500)}; ${filler(random, 100)}`);
      for (let round = 0; round < 6; round++) {
        await commitEach(
          fixture,
          10,
          () =>
            `${writes(random, 12)}; UPDATE items SET name = name || '', n = n + 1 WHERE id % 11 = ${random.below(11)};
           DELETE FROM docs WHERE id % 23 = ${random.below(23)}; DELETE FROM pairs WHERE a % 19 = ${random.below(19)}`,
        );
        await fixture.pass((1 + random.below(6)) * MINUTE_MS);
      }
    },
  },
];
