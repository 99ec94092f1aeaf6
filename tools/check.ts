/** `npm run check`: types, lint, format, unused code and the size of the bundle; all run, then the verdict. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { QUIET_WRANGLER } from "./quiet-wrangler.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
/**
 * What the Worker may weigh, gzipped, in bytes: Hono, zod, our own code, and two builds of SQLite, of
 * 336 KB and 406 KB. Cloudflare takes 3 MB on its Free plan.
 */
const BUNDLE_GZIP_BYTES_MAX = 940 * 1024;

const bundle = join(root, "dist/bundle");
const checks: readonly (readonly [string, readonly string[]])[] = [
  ["types", ["tsc", "--build"]],
  ["lint", ["oxlint", "--deny-warnings"]],
  ["format", ["oxfmt", "--check"]],
  ["unused code", ["knip"]],
  ["bundle", ["wrangler", "deploy", "--dry-run", "--outdir", bundle]],
];

function run([command, ...args]: readonly string[]): boolean {
  const env = { ...process.env, ...QUIET_WRANGLER };
  const result = spawnSync(join(root, "node_modules/.bin", command ?? ""), args, {
    cwd: root,
    encoding: "utf8",
    env,
  });
  if (result.status === 0) return true;
  console.error(result.stdout + result.stderr);
  return false;
}

function bundleIsSmall(): boolean {
  const files = readdirSync(bundle).filter((name) => /\.(js|wasm)$/.test(name));
  const bytes = files.reduce(
    (sum, name) => sum + gzipSync(readFileSync(join(bundle, name))).length,
    0,
  );
  const verdict = bytes <= BUNDLE_GZIP_BYTES_MAX ? "within" : "OVER";
  console.log(`bundle: ${bytes} bytes gzipped, ${verdict} ${BUNDLE_GZIP_BYTES_MAX}`);
  return bytes <= BUNDLE_GZIP_BYTES_MAX;
}

rmSync(bundle, { recursive: true, force: true });
const failed: string[] = [];
for (const [name, command] of checks) {
  const ok = run(command);
  console.log(`${ok ? "ok  " : "FAIL"} ${name}`);
  if (!ok) failed.push(name);
}
if (!failed.includes("bundle") && !bundleIsSmall()) failed.push("bundle size");
if (failed.length > 0) {
  console.error(`failed: ${failed.join(", ")}`);
  process.exit(1);
}
