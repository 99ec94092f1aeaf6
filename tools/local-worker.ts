/** The Worker in a local workerd with a local R2, as `npm start`, `npm run dev` and the benchmarks run it. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ReplicaError } from "../shared/errors.ts";
import { QUIET_WRANGLER } from "./quiet-wrangler.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 5_000;
const POLL_MS = 50;

/** Keys of the local bucket's S3 endpoint; it listens on the loopback interface only. */
export const LOCAL_CREDENTIALS = {
  accessKeyId: "eddy-local",
  secretAccessKey: "eddy-local-secret",
} as const;
export const LOCAL_BUCKET = "eddy-local";

export interface LocalWorkerOptions {
  /** Folder for the configuration, the local bucket and wrangler's log. */
  readonly folder: string;
  readonly port: number;
  readonly token: string;
  /** Database name → prefix in the bucket. */
  readonly databases: Readonly<Record<string, string>>;
  readonly vars?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface LocalWorker {
  /** Without a trailing slash. */
  readonly url: string;
  /** What a replicator is given: `s3://bucket/path?endpoint=…`; its credentials are `storeEnv`. */
  storeUrl(path: string): string;
  readonly storeEnv: Readonly<Record<string, string>>;
  /** Settles when the Worker's process ends, whoever ended it. */
  readonly exited: Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts the Worker and waits until it answers.
 *
 * @throws {ReplicaError} `BAD_CONFIG` when something else holds the port, `R2_ERROR` when the
 *   Worker does not come up; the message ends with what wrangler printed.
 */
export async function startLocalWorker(options: LocalWorkerOptions): Promise<LocalWorker> {
  const { folder, port, token } = options;
  await refusePortInUse(port);
  mkdirSync(folder, { recursive: true });
  const config = join(folder, "wrangler.json");
  writeFileSync(config, JSON.stringify(wranglerConfig(options), undefined, 2), { mode: 0o600 });
  const child = spawnWrangler(config, folder, port);
  const output: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      output.push(chunk.toString());
      if (output.length > 200) output.shift();
    });
  }
  let ended = false;
  const exited = new Promise<void>((resolve) => {
    child.once("exit", () => {
      ended = true;
      resolve();
    });
  });
  const url = `http://127.0.0.1:${port}`;
  const stop = () => endGroup(child, exited);
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  for (let answer = await ask(url, token); !answer.isOk; answer = await ask(url, token)) {
    const { refusal } = answer;
    if (refusal || ended || options.signal?.aborted || Date.now() > deadlineMs) {
      await stop();
      if (refusal) throw new ReplicaError("BAD_CONFIG", refusal);
      if (options.signal?.aborted) throw new ReplicaError("ABORTED", "stopped while starting");
      throw new ReplicaError("R2_ERROR", `the Worker did not start:\n${output.join("").trim()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return {
    url,
    storeUrl: (path) =>
      `s3://${LOCAL_BUCKET}/${path}?endpoint=${encodeURIComponent(`${url}/cdn-cgi/local/r2/s3`)}` +
      "&region=auto&forcePathStyle=true",
    storeEnv: {
      AWS_ACCESS_KEY_ID: LOCAL_CREDENTIALS.accessKeyId,
      AWS_SECRET_ACCESS_KEY: LOCAL_CREDENTIALS.secretAccessKey,
    },
    exited,
    stop,
  };
}

function wranglerConfig({ token, databases, vars }: LocalWorkerOptions): object {
  return {
    name: "eddy-local",
    main: join(root, "worker/index.ts"),
    compatibility_date: "2026-10-01",
    compatibility_flags: ["enable_request_signal"],
    vars: { EDDY_TOKEN: token, DATABASES: JSON.stringify(databases), ...vars },
    r2_buckets: [
      {
        binding: "BUCKET",
        bucket_name: LOCAL_BUCKET,
        local_dev: { experimental_s3_credentials: LOCAL_CREDENTIALS },
      },
    ],
  };
}

/** In a process group of its own: killing wrangler alone would leave workerd running. */
function spawnWrangler(config: string, folder: string, port: number): ChildProcess {
  // Under this very Node: the host's own may be too old for wrangler.
  const args = [
    join(root, "node_modules/wrangler/bin/wrangler.js"),
    "dev",
    "--config",
    config,
    "--ip",
    "127.0.0.1",
    "--port",
    String(port),
  ];
  args.push("--inspector-port", "0", "--persist-to", join(folder, "state"));
  args.push("--show-interactive-dev-session=false", "--log-level", "warn");
  return spawn(process.execPath, args, {
    cwd: root,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...QUIET_WRANGLER, CI: "true" },
  });
}

async function refusePortInUse(port: number): Promise<void> {
  const probe = createServer();
  try {
    probe.listen(port, "127.0.0.1");
    await once(probe, "listening");
  } catch (cause) {
    throw new ReplicaError(
      "BAD_CONFIG",
      `port ${port} of 127.0.0.1 is taken, perhaps by another \`npm start\`: stop that one, or choose another port with PORT=${port + 1}`,
      { cause },
    );
  } finally {
    probe.close();
  }
}

/** Asks for the list of databases, so that another program on the port does not count. */
interface Answer {
  readonly isOk: boolean;
  /** What the Worker says of a configuration that it cannot run with: waiting betters nothing. */
  readonly refusal?: string | undefined;
}

async function ask(url: string, token: string): Promise<Answer> {
  try {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${url}/v1/dbs`, { headers, signal: AbortSignal.timeout(2_000) });
    const text = await response.text();
    if (response.ok) return { isOk: true };
    const { code, detail } = JSON.parse(text) as { code?: string; detail?: string };
    return { isOk: false, refusal: code === "bad-config" ? detail : undefined };
  } catch {
    // Not listening yet: the caller asks again until its deadline.
    return { isOk: false };
  }
}

async function endGroup(child: ChildProcess, exited: Promise<void>): Promise<void> {
  const killGroup = (signal: NodeJS.Signals) => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal);
    } catch (error) {
      // ESRCH: the whole group has ended already.
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  };
  killGroup("SIGTERM");
  const timer = setTimeout(() => killGroup("SIGKILL"), STOP_TIMEOUT_MS);
  await exited;
  clearTimeout(timer);
  // workerd may outlive wrangler by a moment; the group is ours alone.
  killGroup("SIGKILL");
}
