/** How fast the codec is beside lz4js, and how much memory it takes for small and large snapshots. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compressBlock, decompressBlock } from "lz4js";
import { hash as xxh32 } from "lz4js/xxh32.js";
import { Crc64 } from "../../shared/ltx/checksum.ts";
import { decodeLz4Block, encodeLz4Block, lz4BlockBytesMax } from "../../shared/ltx/lz4-block.ts";
import { createSampleDatabase } from "../../tools/demo/sample-database.ts";
import { percentile, printTable } from "./statistics.ts";

const PAGE_SIZE = 4096;
const PAGES = 2_000;
const ROUNDS = 9;
/** Megabytes of the snapshots whose memory is measured. */
const SNAPSHOTS = [16, 1024];

interface Contender {
  readonly name: string;
  run(page: Uint8Array, block: Uint8Array): void;
}

/** Prints the tables of throughput and of memory. */
export function benchCodec(): void {
  const folder = mkdtempSync(join(tmpdir(), "eddy-bench-"));
  try {
    const pages = samplePages(folder);
    compare("LZ4 blocks, decoding", pages, decoders());
    compare("LZ4 blocks, encoding", pages, encoders());
    compare("checksums", pages, checksums());
    printMemory(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Pages of the demo's database, evenly spread over it. */
function samplePages(folder: string): Uint8Array[] {
  const path = join(folder, "sample.db");
  createSampleDatabase(path);
  const database = new Uint8Array(readFileSync(path));
  const count = Math.min(PAGES, database.length / PAGE_SIZE);
  const step = Math.floor(database.length / PAGE_SIZE / count);
  return Array.from({ length: count }, (_, i) =>
    database.slice(i * step * PAGE_SIZE, (i * step + 1) * PAGE_SIZE),
  );
}

function decoders(): Contender[] {
  const page = new Uint8Array(PAGE_SIZE);
  return [
    { name: "lz4js", run: (_, block) => decompressBlock(block, page, 0, block.length, 0) },
    { name: "Eddy", run: (_, block) => decodeLz4Block(block, page) },
  ];
}

function encoders(): Contender[] {
  const target = new Uint8Array(2 * PAGE_SIZE);
  const hashTable = new Uint32Array(65_536);
  return [
    {
      name: "lz4js",
      run(page) {
        // A table that is not zeroed for each page gives blocks that cannot be decoded.
        hashTable.fill(0);
        compressBlock(page, target, 0, PAGE_SIZE, hashTable);
      },
    },
    { name: "Eddy", run: (page) => encodeLz4Block(page, target, 0) },
  ];
}

function checksums(): Contender[] {
  const crc = new Crc64();
  return [
    { name: "lz4js, XXH32", run: (page) => xxh32(0, page, 0, PAGE_SIZE) },
    { name: "Eddy, CRC-64", run: (page) => crc.update(page) },
  ];
}

/** Prints megabytes of pages a second, rounds interleaved, and the ratio to the first contender. */
function compare(title: string, pages: readonly Uint8Array[], contenders: readonly Contender[]) {
  const samples = pages.map((page) => {
    const target = new Uint8Array(lz4BlockBytesMax(PAGE_SIZE));
    return { page, block: target.slice(0, encodeLz4Block(page, target, 0)) };
  });
  const results = contenders.map((contender) => ({ contender, speeds: [] as number[] }));
  // The first two rounds warm the engine up.
  for (let round = -2; round < ROUNDS; round++) {
    for (const { contender, speeds } of results) {
      const startMs = performance.now();
      for (const { page, block } of samples) contender.run(page, block);
      const seconds = (performance.now() - startMs) / 1000;
      if (round >= 0) speeds.push((samples.length * PAGE_SIZE) / 1e6 / seconds);
    }
  }
  const medians = results.map(({ speeds }) => percentile(speeds, 0.5));
  printTable(`${title}, ${samples.length} pages of ${PAGE_SIZE} bytes`, [
    ["", "MB/s", "ratio"],
    ...results.map(({ contender }, i) => [
      contender.name,
      (medians[i] ?? 0).toFixed(0),
      `${((medians[i] ?? 0) / (medians[0] ?? 1)).toFixed(2)}x`,
    ]),
  ]);
}

function printMemory(folder: string): void {
  const path = join(folder, "snapshot.ltx");
  const script = join(import.meta.dirname, "codec-memory.ts");
  const rows = SNAPSHOTS.map((megabytes) => {
    const peaks = ["encode", "decode"].map((task) => {
      const args = [script, task, path, String(megabytes)];
      return `${(Number(execFileSync(process.execPath, args)) / 1e6).toFixed(0)} MB`;
    });
    return [`${megabytes} MB`, ...peaks];
  });
  printTable("peak resident memory of a process, by the size of its snapshot", [
    ["", "encoding", "decoding"],
    ...rows,
  ]);
}
