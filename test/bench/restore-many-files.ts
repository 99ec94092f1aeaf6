/**
 * How long a restore of a small database takes when its replica is 300 files of level 0 and every request
 * takes 25 ms: Eddy and the real Litestream, each as its users run it, against the same slow bucket.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { contentOf } from "../support/database-equality.ts";
import { makeDatabaseImages } from "../support/database-images.ts";
import { peerBinary } from "../support/litestream.ts";
import { ltxBetween } from "../support/ltx-from-images.ts";
import { startSlowS3, type SlowS3 } from "../support/slow-s3.ts";
import { milliseconds, percentile, printTable } from "./statistics.ts";

const FILES = 300;
const DELAY_MS = 25;
const RUNS = 3;

interface Contender {
  readonly name: string;
  command(url: string, output: string): readonly [string, readonly string[]];
}

const CONTENDERS: readonly Contender[] = [
  {
    name: "Eddy",
    command: (url, output) => [
      process.execPath,
      ["replicator/eddy.mjs", "restore", url, "-o", output],
    ],
  },
  {
    name: "Litestream 0.5.17",
    command: (url, output) => [peerBinary("litestream"), ["restore", "-o", output, url]],
  },
];

/** Prints the table of a restore from many small files. */
export async function benchRestoreManyFiles(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "eddy-bench-"));
  const s3 = await startSlowS3({ objects: makeFiles(), delayMs: DELAY_MS });
  try {
    const rows = [["", "median of 3", "requests"]];
    const contents: unknown[] = [];
    for (const contender of CONTENDERS) {
      const durationsMs: number[] = [];
      const before = s3.counts.requests;
      for (let run = 0; run < RUNS; run++) {
        const output = join(folder, `${contender.name} ${run}.db`);
        durationsMs.push(await measure(contender, s3, output));
        contents.push(JSON.stringify(contentOf(output).tables, plain));
      }
      const requests = (s3.counts.requests - before) / RUNS;
      rows.push([contender.name, milliseconds(percentile(durationsMs, 0.5)), String(requests)]);
    }
    if (new Set(contents).size !== 1) throw new Error("the restored databases differ");
    printTable(
      `restore from ${FILES} files, ${DELAY_MS} ms a request, process start included`,
      rows,
    );
  } finally {
    await s3.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure(contender: Contender, s3: SlowS3, output: string): Promise<number> {
  const parameters = new URLSearchParams({
    endpoint: s3.url,
    region: "auto",
    forcePathStyle: "true",
  });
  const [program, args] = contender.command(
    `s3://${s3.bucket}/db?${parameters.toString()}`,
    output,
  );
  const startedMs = performance.now();
  const child = spawn(program, args, {
    stdio: ["ignore", "ignore", "inherit"],
    env: {
      ...process.env,
      AWS_ACCESS_KEY_ID: "key",
      AWS_SECRET_ACCESS_KEY: "secret",
      AWS_CA_BUNDLE: undefined,
    },
  });
  const [status] = (await once(child, "exit")) as [number | null];
  if (status !== 0) throw new Error(`${contender.name} ended with ${status}`);
  return performance.now() - startedMs;
}

/** LTX files of level 0 by the end of their keys. */
function makeFiles(): Record<string, Uint8Array> {
  const transactions = Array.from({ length: FILES }, (_, i) =>
    i === 0
      ? "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT)"
      : `INSERT INTO t VALUES (${i}, 'the row of transaction ${i}')`,
  );
  const images = makeDatabaseImages({ transactions });
  return Object.fromEntries(
    transactions.map((_, index) => {
      const txid = (index + 1).toString(16).padStart(16, "0");
      return [`0000/${txid}-${txid}.ltx`, ltxBetween(images, index + 1, index + 1)];
    }),
  );
}

function plain(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? String(value) : value;
}
