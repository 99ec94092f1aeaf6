import { cloudflareTest } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";

/**
 * Wide, for a machine that is busy: they end what hangs, and measure nothing. Where a change lands, a test of
 * several processes that lost a race for a lock or a port is run once more, and shown as such; at a desk it
 * fails, so that it is mended.
 */
const TIMEOUTS = {
  testTimeout: 60_000,
  hookTimeout: 120_000,
  retry: process.env["CI"] === undefined ? 0 : 1,
};

/**
 * Five projects. `node` runs what is in `shared` and `replicator`; `kernel` runs the codec's tests once
 * more, with its WebAssembly in place of TypeScript; `workerd` runs `worker` and, once more, the tests of
 * `shared` that need nothing of Node's, with that WebAssembly too; `official` runs the tests of the engine
 * once more, on SQLite's own build in place of sql.js; `interop` needs the peers' binaries and
 * is run by `.ci/run`.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          include: ["test/{shared,replicator,tools,worker-http}/**/*.test.ts"],
          exclude: ["test/shared/ltx/kernel.test.ts"],
          ...TIMEOUTS,
        },
      },
      {
        test: {
          name: "kernel",
          include: ["test/shared/ltx/**/*.test.ts"],
          setupFiles: ["./test/support/kernel-node.ts"],
          ...TIMEOUTS,
        },
      },
      {
        plugins: [cloudflareTest({ wrangler: { configPath: "./test/worker/wrangler.toml" } })],
        test: {
          name: "workerd",
          include: ["test/worker/**/*.test.ts", "test/shared/{ltx,replica}/**/*.test.ts"],
          setupFiles: ["./test/support/workerd/kernel.ts"],
          globalSetup: [
            "./test/support/engine-databases.ts",
            "./test/support/worker-databases.ts",
            "./test/support/differential/serve-subjects.ts",
          ],
          ...TIMEOUTS,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./test/worker/wrangler.toml" },
            miniflare: { bindings: { ENGINE: "official" } },
          }),
        ],
        test: {
          name: "official",
          include: [
            "test/worker/{engine,sandbox,lazy-file,describe-statement,exact-values,statement-cache}*.test.ts",
            "test/worker/{query,query-refusals,formats}.test.ts",
          ],
          setupFiles: ["./test/support/workerd/kernel.ts"],
          globalSetup: ["./test/support/engine-databases.ts", "./test/support/worker-databases.ts"],
          ...TIMEOUTS,
        },
      },
      {
        test: {
          name: "interop",
          include: ["test/interop/**/*.test.ts"],
          globalSetup: ["./test/support/seaweedfs.ts"],
          ...TIMEOUTS,
          testTimeout: 120_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
