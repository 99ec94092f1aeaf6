/** The two that read the same replica through the same slow proxy: our Worker in workerd, and Litestream's VFS. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { startBareWorkerd, type BareWorkerd } from "../../support/bare-workerd.ts";
import { seaweedUrl, type SeaweedFs } from "../../support/seaweedfs.ts";

export type Cell = string | number | null;

export interface Question {
  readonly sql: string;
  readonly args: readonly (string | number)[];
}

export interface Answer {
  /** As whoever asked saw it, in milliseconds. */
  readonly ms: number;
  readonly rows: readonly (readonly Cell[])[];
}

export interface Reader extends AsyncDisposable {
  ask(question: Question): Promise<Answer>;
}

/** Our Worker. */
export interface OurReader extends Reader {
  readonly workerd: BareWorkerd;
  use(path: string): void;
  /** Asks so many times within one request, and answers what each took without sockets, in milliseconds. */
  repeat(question: Question, times: number): Promise<number>;
  /** As `repeat`, without what a request takes beside the statement: parameters, headers, JSON. */
  repeatOnEngine(question: Question, times: number): Promise<number>;
}

/** Our Worker in an isolate that has read nothing yet. Heads are trusted for an hour, as the VFS does between its polls. */
export async function startWorker(
  { bucket, env }: SeaweedFs,
  proxyUrl: string,
  headTtlMs = 3_600_000,
): Promise<OurReader> {
  const workerd = await startBareWorkerd({
    S3_ENDPOINT: proxyUrl,
    S3_BUCKET: bucket,
    S3_REGION: "us-east-1",
    S3_ACCESS_KEY_ID: env["AWS_ACCESS_KEY_ID"] ?? "",
    S3_SECRET_ACCESS_KEY: env["AWS_SECRET_ACCESS_KEY"] ?? "",
    HEAD_TTL_MS: String(headTtlMs),
  });
  let path = "";
  return {
    workerd,
    use(other) {
      path = other;
    },
    async ask({ sql, args }) {
      const startedMs = performance.now();
      const response = await fetch(`${workerd.url}/v1/dbs/${path}/query`, {
        method: "POST",
        headers: { authorization: workerd.authorization, "content-type": "application/json" },
        body: JSON.stringify({ sql, args }),
      });
      const text = await response.text();
      const ms = performance.now() - startedMs;
      if (!response.ok) throw new Error(`${sql}: ${response.status} ${text}`);
      return { ms, rows: (JSON.parse(text) as { rows: Cell[][] }).rows };
    },
    repeat: (question, times) => {
      const inner = encodeURIComponent(`/v1/dbs/${path}/query`);
      return repeated(workerd, `/repeat?path=${inner}`, { question, times });
    },
    repeatOnEngine: (question, times) =>
      repeated(workerd, `/repeat-on-engine?database=${path}`, { question, times }),
    [Symbol.asyncDispose]: () => workerd.close(),
  };
}

/** Has a route of the bench's own ask so many times; answers what each took, in milliseconds. */
async function repeated(
  { url, authorization }: BareWorkerd,
  route: string,
  { question, times }: { readonly question: Question; readonly times: number },
): Promise<number> {
  const startedMs = performance.now();
  const response = await fetch(`${url}${route}&times=${times}`, {
    method: "POST",
    headers: { authorization, "content-type": "application/json" },
    body: JSON.stringify(question),
  });
  if (!response.ok) throw new Error(`${question.sql}: ${response.status}`);
  return (performance.now() - startedMs) / times;
}

/** Litestream's VFS in a process of its own. */
export async function startVfs(
  { bucket, env }: SeaweedFs,
  proxyUrl: string,
  path: string,
): Promise<Reader> {
  const url = seaweedUrl({ endpoint: proxyUrl, bucket, env }, path);
  const child = spawn(process.execPath, ["test/bench/cold-path/vfs-reader.ts", vfsExtension()], {
    stdio: ["pipe", "pipe", "ignore"],
    env: {
      ...process.env,
      ...env,
      AWS_CA_BUNDLE: undefined,
      AWS_REGION: "us-east-1",
      LITESTREAM_REPLICA_URL: url,
      LITESTREAM_LOG_FILE: "/dev/null",
    },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`the process with Litestream's VFS ended with ${child.exitCode}`);
    return JSON.parse(value) as Answer;
  };
  await next();
  return {
    async ask(question) {
      child.stdin.write(`${JSON.stringify(question)}\n`);
      return await next();
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
  };
}

/** @throws {Error} With how to install it; nothing of Eddy's depends on it. */
function vfsExtension(): string {
  const folder = `${process.env["EDDY_VENV"] ?? ".venv"}-vfs`;
  const path = join(folder, "node_modules/litestream-vfs-linux-amd64/litestream-vfs.so");
  if (existsSync(path)) return path;
  throw new Error(`${path} is missing: npm install --prefix ${folder} litestream-vfs@0.5.17`);
}
