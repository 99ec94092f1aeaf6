/** How fast the codec is, in TypeScript and in WebAssembly, beside lz4js, and how much memory it takes for small and large snapshots. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compressBlock, decompressBlock } from "lz4js";
import { hash as xxh32 } from "lz4js/xxh32.js";
import { installCodecKernel } from "../../replicator/codec-kernel.ts";
import { assert } from "../../shared/assert.ts";
import { Crc64 } from "../../shared/ltx/checksum.ts";
import { installedKernel } from "../../shared/ltx/kernel.ts";
import { decodeLz4Block, encodeLz4Block, lz4BlockBytesMax } from "../../shared/ltx/lz4-block.ts";
import { createSampleDatabase } from "../../tools/demo/sample-database.ts";
import { percentile, printTable } from "./statistics.ts";

const PAGE_SIZE = 4096;
const PAGES = 2_000;
const ROUNDS = 9;
/** Megabytes of the snapshots whose memory is measured. */
const SNAPSHOTS = [16, 1024];

installCodecKernel();
const kernel = installedKernel()!;
assert(kernel, "the build has been run");
const crc = new Crc64();

interface Contender {
  readonly name: string;
  run(page: Uint8Array, block: Uint8Array, frame: Uint8Array): void;
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
    { name: "Eddy, TypeScript", run: (_, block) => decodeLz4Block(block, page) },
    {
      name: "Eddy, kernel, with frame and fresh page",
      run: (_page, _block, frame) => kernel.decodeFrame(frame, PAGE_SIZE),
    },
    {
      name: "Eddy, kernel, with CRC-64",
      run: (_page, _block, frame) => kernel.decodeFrame(frame, PAGE_SIZE, crc),
    },
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
    { name: "Eddy, TypeScript", run: (page) => encodeLz4Block(page, target, 0) },
    {
      name: "Eddy, kernel, with CRC-64 and frame",
      run: (page) => kernel.encodeFrame(1, page, target, 0, crc),
    },
  ];
}

function checksums(): Contender[] {
  return [
    { name: "lz4js, XXH32", run: (page) => xxh32(0, page, 0, PAGE_SIZE) },
    { name: "Eddy, CRC-64, TypeScript", run: (page) => updatePlainly(page) },
    { name: "Eddy, CRC-64, kernel", run: (page) => kernel.update(crc, page) },
  ];
}

/** In pieces so short that they are not handed on to the kernel. */
function updatePlainly(page: Uint8Array): void {
  for (let start = 0; start < page.length; start += 256)
    crc.update(page.subarray(start, start + 256));
}

/** Prints megabytes of pages a second, rounds interleaved, and the ratio to the first contender. */
function compare(title: string, pages: readonly Uint8Array[], contenders: readonly Contender[]) {
  const samples = pages.map((page) => {
    const target = new Uint8Array(lz4BlockBytesMax(PAGE_SIZE));
    const block = target.slice(0, encodeLz4Block(page, target, 0));
    return { page, block, frame: Uint8Array.from([...new Uint8Array(10), ...block]) };
  });
  const results = contenders.map((contender) => ({ contender, speeds: [] as number[] }));
  // The first two rounds warm the engine up.
  for (let round = -2; round < ROUNDS; round++) {
    for (const { contender, speeds } of results) {
      const startMs = performance.now();
      for (const { page, block, frame } of samples) contender.run(page, block, frame);
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
