/**
 * SeaweedFS, an S3 server that is not ours: vitest starts one for the interoperability suite, which gets its
 * address by `inject("seaweedfs")`.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { AwsClient } from "aws4fetch";
import type { TestProject } from "vitest/node";
import { freePort } from "./free-port.ts";
import { peerBinary } from "./litestream.ts";

const CREDENTIALS = { accessKeyId: "interop-key", secretAccessKey: "interop-secret" } as const;
const BUCKET = "interop";
const START_MS_MAX = 60_000;
const POLL_MS = 100;

/** Where the server is; plain values, because they go from one process to others. */
export interface SeaweedFs {
  readonly endpoint: string;
  readonly bucket: string;
  /** Credentials, as Eddy and Litestream read them from the environment. */
  readonly env: Readonly<Record<string, string>>;
}

declare module "vitest" {
  interface ProvidedContext {
    seaweedfs: SeaweedFs;
  }
}

/** The URL of a replica in the bucket, for Eddy and for Litestream. */
export function seaweedUrl({ endpoint, bucket }: SeaweedFs, path: string): string {
  const parameters = new URLSearchParams({ endpoint, region: "us-east-1", forcePathStyle: "true" });
  return `s3://${bucket}/${path}?${parameters.toString()}`;
}

/** The same replica in a configuration file of Litestream's. */
export function seaweedReplica({ endpoint, bucket }: SeaweedFs, path: string) {
  const place = { type: "s3", bucket, path, endpoint, region: "us-east-1" };
  return { ...place, "force-path-style": true };
}

/** vitest's hook: starts the server, and answers what stops it. */
export async function setup({ provide }: TestProject): Promise<() => Promise<void>> {
  const { seaweed, stop } = await startSeaweedFs();
  provide("seaweedfs", seaweed);
  return stop;
}

/** Starts a server with one empty bucket, in about 5 seconds. */
export async function startSeaweedFs(): Promise<{
  readonly seaweed: SeaweedFs;
  readonly stop: () => Promise<void>;
}> {
  const folder = mkdtempSync(join(tmpdir(), "eddy-seaweedfs-"));
  const log = join(folder, "log");
  const port = await freePort();
  const child = spawn(peerBinary("weed"), await serverArguments(folder, port), {
    stdio: ["ignore", openSync(log, "w"), openSync(log, "a")],
  });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const stop = async () => {
    child.kill("SIGKILL");
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  const endpoint = `http://127.0.0.1:${port}`;
  const endMs = Date.now() + START_MS_MAX;
  while (!(await takesObjects(endpoint))) {
    if (child.exitCode !== null || Date.now() > endMs) {
      const printed = readFileSync(log, "utf8").slice(-2_000);
      await stop();
      throw new Error(`SeaweedFS did not come up: ${printed}`);
    }
    await delay(POLL_MS);
  }
  const { accessKeyId, secretAccessKey } = CREDENTIALS;
  const env = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  return { seaweed: { endpoint, bucket: BUCKET, env }, stop };
}

async function serverArguments(folder: string, s3Port: number): Promise<string[]> {
  const config = join(folder, "s3.json");
  const { accessKeyId: accessKey, secretAccessKey: secretKey } = CREDENTIALS;
  const actions = ["Admin", "Read", "Write", "List", "Tagging"];
  const identity = { name: "interop", credentials: [{ accessKey, secretKey }], actions };
  writeFileSync(config, JSON.stringify({ identities: [identity] }));
  const data = join(folder, "data");
  mkdirSync(data);
  const ports: string[] = [];
  for (const name of [
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port.grpc",
  ]) {
    ports.push(`-${name}=${await freePort()}`);
  }
  return [
    "server",
    `-dir=${data}`,
    "-ip=127.0.0.1",
    "-ip.bind=127.0.0.1",
    "-filer",
    "-s3",
    `-s3.port=${s3Port}`,
    ...ports,
    // Servers that it would start on fixed ports.
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    `-s3.config=${config}`,
    "-volume.max=50",
    "-master.volumeSizeLimitMB=512",
    "-master.telemetry=false",
  ];
}

/** It answers before it can store anything, so that an object is what counts. */
async function takesObjects(endpoint: string): Promise<boolean> {
  const client = new AwsClient({ ...CREDENTIALS, service: "s3", region: "us-east-1", retries: 0 });
  const put = async (path: string, body?: string) => {
    const signal = AbortSignal.timeout(5_000);
    const answer = await client.fetch(`${endpoint}/${path}`, {
      method: "PUT",
      body: body ?? null,
      signal,
    });
    await answer.arrayBuffer();
    return answer.ok;
  };
  try {
    await put(BUCKET);
    return await put(`${BUCKET}/probe`, "is it there?");
  } catch {
    // Not listening yet: asked again until the deadline.
    return false;
  }
}
