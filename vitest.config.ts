import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/**
 * Three projects. `node` runs what is in `shared` and `replicator`; `workerd` runs `worker` and,
 * once more, the tests of `shared` that need nothing of Node's; `interop` needs the peers' binaries
 * and is run by `.ci/run`.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          include: ["test/{shared,replicator,tools,worker-http}/**/*.test.ts"],
          testTimeout: 30_000,
          // The local R2 takes its time to start on a machine that is busy.
          hookTimeout: 60_000,
        },
      },
      {
        plugins: [cloudflareTest({ wrangler: { configPath: "./test/worker/wrangler.toml" } })],
        test: {
          name: "workerd",
          include: ["test/worker/**/*.test.ts", "test/shared/{ltx,replica}/**/*.test.ts"],
          globalSetup: ["./test/support/engine-databases.ts", "./test/support/worker-databases.ts"],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "interop",
          include: ["test/interop/**/*.test.ts"],
          testTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
