/**
 * `npm run differential -- --seed N --queries M`: the engine's rows beside those of the real SQLite, for as
 * long as M takes. The same seed and number ask the same again.
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: { seed: { type: "string" }, queries: { type: "string", default: "20000" } },
});
const seed = values.seed ?? String(Date.now() % 1_000_000);
for (const [name, value] of Object.entries({ seed, queries: values.queries })) {
  if (/^\d{1,9}$/.test(value)) continue;
  console.error(`--${name} is a whole number, not "${value}"`);
  process.exit(2);
}
console.log(`differential --seed ${seed} --queries ${values.queries}`);
const tests = fileURLToPath(new URL("./run-tests.ts", import.meta.url));
const { status } = spawnSync(
  process.execPath,
  [tests, "--project=workerd", "test/worker/differential.test.ts"],
  {
    stdio: "inherit",
    env: {
      ...process.env,
      EDDY_DIFFERENTIAL_SEED: seed,
      EDDY_DIFFERENTIAL_QUERIES: values.queries,
    },
  },
);
process.exit(status ?? 1);
