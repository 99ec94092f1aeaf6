/** Memory of the isolate while 64 queries are in flight. workerd has no limit: it is asked what it holds. */
import { seededRandom } from "../../../tools/demo/random.ts";
import { printTable } from "../statistics.ts";
import type { DelayingProxy } from "./delaying-proxy.ts";
import type { Place, PreparedReplica } from "./replicas.ts";
import { startWorker, type Question } from "./readers.ts";
import { POINT_SQL } from "./steps.ts";

const IN_FLIGHT = 64;
const ROUNDS = 10;

/** What the largest result has, about, in bytes: what results take is bounded by query, and comes on top. */
const RESULT_BYTES = 300_000;

const QUESTIONS: readonly ((row: number, rowBytes: number) => Question)[] = [
  (row) => ({ sql: POINT_SQL, args: [row] }),
  (row) => ({
    sql: "SELECT id, score FROM items WHERE id BETWEEN ? AND ?",
    args: [row, row + 200],
  }),
  (row) => ({
    sql: "SELECT sum(score) FROM items WHERE id BETWEEN ? AND ?",
    args: [row, row + 5_000],
  }),
  (row, rowBytes) => ({
    sql: "SELECT id, body FROM items WHERE id BETWEEN ? AND ? ORDER BY body LIMIT ?",
    args: [row, row + 2_000, Math.floor(RESULT_BYTES / rowBytes)],
  }),
];

/** Prints the most that was seen: the heap with its buffers by the inspector, and the wasm memories. */
export async function printMemory(
  { seaweed, proxy }: Place & { readonly proxy: DelayingProxy },
  replica: PreparedReplica,
): Promise<void> {
  await using worker = await startWorker(seaweed, proxy.url);
  worker.use(replica.path);
  const { workerd } = worker;
  const random = seededRandom(9);
  let heapMax = 0;
  let wasmMax = 0;
  let refused = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const asked = Promise.allSettled(
      Array.from({ length: IN_FLIGHT }, (_, at) =>
        worker.ask(
          QUESTIONS[at % QUESTIONS.length](
            1 + random.below(replica.rows - 10_000),
            replica.rowBytes,
          ),
        ),
      ),
    );
    const progress = { isOver: false };
    void asked.then(() => (progress.isOver = true));
    // As often as it answers while they are in flight; the inspector takes one question at a time.
    do heapMax = Math.max(heapMax, await workerd.liveBytes());
    while (!progress.isOver);
    refused += (await asked).filter(({ status }) => status === "rejected").length;
    const stats = await (await fetch(`${workerd.url}/engine`)).json();
    wasmMax = Math.max(wasmMax, (stats as { memoryBytes: number }).memoryBytes);
  }
  printTable(`${replica.title}: memory with ${IN_FLIGHT} queries in flight, ${ROUNDS} times`, [
    ["", "heap and buffers", "wasm", "together", "refused", "goal"],
    [
      "Eddy",
      megabytes(heapMax),
      megabytes(wasmMax),
      megabytes(heapMax + wasmMax),
      String(refused),
      "96 MB",
    ],
  ]);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
