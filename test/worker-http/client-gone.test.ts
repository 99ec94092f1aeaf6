import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startBareWorkerd, type BareWorkerd } from "../support/bare-workerd.ts";
import { makeDatabaseImages } from "../support/database-images.ts";
import { ltxBetween } from "../support/ltx-from-images.ts";
import { startSlowS3, type SlowS3 } from "../support/slow-s3.ts";

const CLIENTS = 1_000;
/**
 * So many fill the caches: after 1,000 they still grew by 21 MB. From there on twelve rounds of 1,000
 * left the heap where it was, within 1 MB.
 */
const CLIENTS_BEFORE = 4_000;
const AT_A_TIME = 16;
const DELAY_MS = 4;
/** What the caches may still grow by, once they are full. In bytes. */
const GROWTH_BYTES_MAX = 8 * 1024 * 1024;
const SQL = "SELECT count(*) FROM notes WHERE body LIKE '%x%'";
const QUERY = `query?shape=first&sql=${encodeURIComponent(SQL)}`;

/** `EngineStats` of the worker, which Node's types cannot look into. */
interface EngineStats {
  readonly running: number;
  readonly waiting: number;
  readonly busyConnections: number;
  readonly stacks: number;
  readonly retired: number;
  readonly memoryBytes: number;
}

let s3: SlowS3;
let worker: BareWorkerd;
/** Called when the bucket is asked for a file of that database. */
const onRequest = new Map<string, () => void>();

beforeAll(async () => {
  const images = makeDatabaseImages({
    transactions: [
      `CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
         INSERT INTO notes SELECT i, hex(randomblob(80)) FROM n`,
    ],
  });
  const name = "0000/0000000000000001-0000000000000001.ltx";
  s3 = await startSlowS3({ objects: { [name]: ltxBetween(images, 1, 1) }, delayMs: DELAY_MS });
  s3.onRequest = (database) => onRequest.get(database)?.();
  worker = await startWorker({});
}, 60_000);

afterAll(async () => {
  await worker?.close();
  await s3?.close();
});

function startWorker(variables: Readonly<Record<string, string>>): Promise<BareWorkerd> {
  return startBareWorkerd({
    S3_ENDPOINT: s3.url,
    S3_BUCKET: s3.bucket,
    S3_ACCESS_KEY_ID: "key",
    S3_SECRET_ACCESS_KEY: "secret",
    ...variables,
  });
}

async function get(path: string): Promise<unknown> {
  const headers = { authorization: worker.authorization };
  return (await fetch(worker.url + path, { headers })).json();
}

/**
 * Asks for something of a database that no cache has seen, and drops the connection when the bucket
 * has been asked `requests` times for it, or earlier when there was an answer.
 */
async function askAndLeave(database: string, rest: string, requests: number): Promise<void> {
  const socket = connect(worker.port, worker.hostname);
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    let seen = 0;
    onRequest.set(database, () => {
      if (++seen >= requests) resolve();
    });
    socket.once("data", () => resolve());
    socket.write(
      `GET /v1/dbs/${database}/${rest} HTTP/1.1\r\n` +
        `Host: ${worker.hostname}\r\nAuthorization: ${worker.authorization}\r\n\r\n`,
    );
  });
  onRequest.delete(database);
  // From here on the connection is cut on purpose.
  socket.on("error", () => undefined);
  socket.resetAndDestroy();
}

/** Lets `count` clients come and go, a few at a time. */
async function manyLeave(count: number, leave: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const one = async () => {
    while (next < count) await leave(next++);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, one));
}

/** Resolves when nothing runs any more; the test's time-out bounds it. */
async function untilIdle(): Promise<EngineStats> {
  for (;;) {
    const stats = (await get("/engine")) as EngineStats;
    const { running, waiting, busyConnections } = stats;
    if (running + waiting + busyConnections + s3.counts.inFlight === 0) return stats;
  }
}

describe("clients that leave in the middle", () => {
  it(`leave no connection, stack or memory behind, ${CLIENTS} queries long`, async () => {
    expect(await get(`/v1/dbs/first/${QUERY}`)).toEqual([0]);
    // In the listing, while the file is opened, at each of the faults.
    const leave = (round: string) => (number: number) =>
      askAndLeave(`${round}${number}`, QUERY, 1 + (number % 9));
    // Each asks for a database of its own, so these fill the caches up to their bounds.
    await manyLeave(CLIENTS_BEFORE, leave("a"));
    const before = await untilIdle();
    const beforeBytes = await worker.liveBytes();
    await manyLeave(CLIENTS, leave("b"));
    const after = await untilIdle();
    expect(after).toMatchObject({
      retired: 0,
      busyConnections: 0,
      memoryBytes: before.memoryBytes,
    });
    expect(after.stacks).toBeLessThanOrEqual(8);
    // What the last requests held goes with their sockets, a moment later.
    await expect
      .poll(() => worker.liveBytes(), { timeout: 20_000 })
      .toBeLessThan(beforeBytes + GROWTH_BYTES_MAX);
    const answers = await Promise.all(
      Array.from({ length: AT_A_TIME }, (_, number) => get(`/v1/dbs/after${number}/${QUERY}`)),
    );
    expect(answers).toEqual(answers.map(() => [0]));
  }, 120_000);

  it("end a download that nobody takes any more", async () => {
    await manyLeave(100, (number) =>
      askAndLeave(`file${number}`, "snapshots/latest/x.db", 3 + (number % 4)),
    );
    await untilIdle();
    const { requests } = s3.counts;
    expect(await get("/v1/dbs")).toMatchObject({ databases: expect.any(Array) });
    expect(s3.counts.requests - requests).toBeLessThanOrEqual(1);
  }, 60_000);
});

describe("clients that leave in the middle of the official engine", () => {
  const CLIENTS = 300;

  beforeAll(async () => {
    await worker.close();
    worker = await startWorker({ ENGINE: "official" });
  }, 60_000);

  it(`leave no connection or stack behind, ${CLIENTS} queries long`, async () => {
    expect(await get(`/v1/dbs/first/${QUERY}`)).toEqual([0]);
    await manyLeave(CLIENTS, (number) => askAndLeave(`c${number}`, QUERY, 1 + (number % 9)));
    const stats = await untilIdle();
    expect(stats).toMatchObject({ retired: 0, busyConnections: 0 });
    expect(stats.stacks).toBeGreaterThan(0);
    expect(stats.stacks).toBeLessThanOrEqual(8);
    expect(await get(`/v1/dbs/after/${QUERY}`)).toEqual([0]);
  }, 60_000);
});
