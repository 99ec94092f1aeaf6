/**
 * The Worker's bundle, as a deploy would send it, in a workerd of its own with nothing in front.
 * What `wrangler dev` and its test harness put between the client and the Worker does not tell the
 * Worker that a client has left; the platform does, and so does workerd itself.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { QUIET_WRANGLER } from "../../tools/quiet-wrangler.ts";
import { freePort } from "./free-port.ts";
import { Inspector } from "./inspector.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const MAIN = "test/support/workerd/worker-with-stats.ts";
const TOKEN = "http-token";
const COMPATIBILITY = {
  compatibility_date: "2026-10-01",
  compatibility_flags: ["enable_request_signal"],
};
/** What workerd calls a module of each kind. */
const KINDS: Readonly<Record<string, string>> = {
  ".js": "esModule",
  ".wasm": "wasm",
  ".html": "text",
};

export interface BareWorkerd {
  readonly hostname: string;
  readonly port: number;
  /** Without a trailing slash. */
  readonly url: string;
  readonly authorization: string;
  /** What the isolate still needs after its garbage was collected, in bytes; wasm is not part of it. */
  liveBytes(): Promise<number>;
  close(): Promise<void>;
}

/** Bundles the Worker and starts it, in a few seconds; close it in `afterAll`. */
export async function startBareWorkerd(
  variables: Readonly<Record<string, string>>,
): Promise<BareWorkerd> {
  const folder = mkdtempSync(join(tmpdir(), "eddy-workerd-"));
  bundle(folder);
  const hostname = "127.0.0.1";
  const [port, inspectorPort] = [await freePort(), await freePort()];
  const config = formatConfig(folder, `${hostname}:${port}`, { EDDY_TOKEN: TOKEN, ...variables });
  writeFileSync(join(folder, "bundle/config.capnp"), config);
  const child = spawn(
    workerdBinary(),
    [
      "serve",
      "--experimental",
      `--inspector-addr=${hostname}:${inspectorPort}`,
      join(folder, "bundle/config.capnp"),
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  const errors: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => errors.push(chunk));
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const close = async () => {
    // It would wait for the inspector's connection to end.
    child.kill("SIGKILL");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const url = `http://${hostname}:${port}`;
  const inspector = new Inspector(`ws://${hostname}:${inspectorPort}/worker`);
  try {
    await untilHealthy(url, child, errors);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    hostname,
    port,
    url,
    authorization: `Bearer ${TOKEN}`,
    liveBytes: async () => {
      await fetch(`${url}/collect-garbage`);
      return inspector.heapBytes();
    },
    close,
  };
}

/** The binary itself, as wrangler finds it: the script in `.bin` would be a process in between. */
function workerdBinary(): string {
  const require = createRequire(createRequire(import.meta.url).resolve("wrangler"));
  return (require("workerd") as { readonly default: string }).default;
}

function bundle(folder: string): void {
  const config = join(folder, "wrangler.json");
  writeFileSync(config, JSON.stringify({ name: "eddy", main: join(root, MAIN), ...COMPATIBILITY }));
  const { status, stdout, stderr } = spawnSync(
    join(root, "node_modules/.bin/wrangler"),
    ["deploy", "--dry-run", "--config", config, "--outdir", join(folder, "bundle")],
    { cwd: root, encoding: "utf8", env: { ...process.env, ...QUIET_WRANGLER } },
  );
  if (status !== 0) throw new Error(`the Worker could not be bundled:\n${stdout}${stderr}`);
}

function formatConfig(
  folder: string,
  address: string,
  variables: Readonly<Record<string, string>>,
): string {
  const files = readdirSync(join(folder, "bundle")).filter((name) => KINDS[extname(name)]);
  // The module that the Worker starts with comes first.
  const modules = files
    .toSorted((a, b) => Number(extname(b) === ".js") - Number(extname(a) === ".js"))
    .map((name) => `(name = "${name}", ${KINDS[extname(name)]} = embed "${name}")`);
  const bindings = Object.entries(variables).map(
    ([name, text]) => `(name = "${name}", text = ${JSON.stringify(text)})`,
  );
  const flags = COMPATIBILITY.compatibility_flags.map((flag) => JSON.stringify(flag));
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = "internet", network = (allow = ["public", "private", "local"])),
  ],
  v8Flags = ["--expose-gc"],
  sockets = [(name = "http", address = "${address}", http = (), service = "worker")],
);
const worker :Workerd.Worker = (
  modules = [${modules.join(", ")}],
  bindings = [${bindings.join(", ")}],
  compatibilityDate = "${COMPATIBILITY.compatibility_date}",
  compatibilityFlags = [${flags.join(", ")}],
);
`;
}

async function untilHealthy(url: string, child: ChildProcess, errors: Buffer[]): Promise<void> {
  // Bounded by the process: it listens, or it ends with a reason.
  for (;;) {
    if (child.exitCode !== null) {
      throw new Error(`workerd ended:\n${Buffer.concat(errors).toString()}`);
    }
    const isUp = await fetch(`${url}/healthz`).then(
      (response) => response.ok,
      () => false,
    );
    if (isUp) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
