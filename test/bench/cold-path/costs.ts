/** What reading costs at R2's prices, from counted requests. */
import { seededRandom } from "../../../tools/demo/random.ts";
import { printTable } from "../statistics.ts";
import type { DelayingProxy, ProxyCounts } from "./delaying-proxy.ts";
import type { Place, PreparedReplica } from "./replicas.ts";
import { startWorker } from "./readers.ts";
import { POINT_SQL } from "./steps.ts";

/** R2's list prices in dollars a million: a LIST is Class A, a GET Class B; the free tier is left out. */
const CLASS_A_DOLLARS = 4.5;
const CLASS_B_DOLLARS = 0.36;
const QUERIES = 500;
const LOOKS = 50;
const MONTH_SECONDS = 30 * 86_400;

/** Prints the table of costs. */
export async function printCosts(
  { seaweed, proxy }: Place & { readonly proxy: DelayingProxy },
  replica: PreparedReplica,
): Promise<void> {
  proxy.delayMs = 0;
  const rows = [["", "GET", "LIST", "dollars"]];
  {
    await using worker = await startWorker(seaweed, proxy.url);
    worker.use(replica.path);
    const random = seededRandom(5);
    const ask = () => worker.ask({ sql: POINT_SQL, args: [1 + random.below(replica.rows)] });
    await ask();
    proxy.take();
    for (let query = 0; query < QUERIES; query++) await ask();
    rows.push(costRow("a million point queries, each another row", proxy.take(), 1e6 / QUERIES));
  }
  {
    await using worker = await startWorker(seaweed, proxy.url, 0);
    worker.use(replica.path);
    const ask = () => worker.ask({ sql: "SELECT 1", args: [] });
    await ask();
    proxy.take();
    for (let look = 0; look < LOOKS; look++) await ask();
    const name = "a month of tailing, a look a second, a quiet database";
    rows.push(costRow(name, proxy.take(), MONTH_SECONDS / LOOKS));
  }
  proxy.delayMs = 25;
  printTable(`${replica.title}, costs at R2's list prices`, rows);
}

function costRow(name: string, { gets, lists }: ProxyCounts, times: number): string[] {
  const dollars = (times * (gets * CLASS_B_DOLLARS + lists * CLASS_A_DOLLARS)) / 1e6;
  const millions = (count: number) => `${((count * times) / 1e6).toFixed(2)} M`;
  return [name, millions(gets), millions(lists), `$${dollars.toFixed(2)}`];
}
