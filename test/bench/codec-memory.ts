/**
 * The process whose memory the codec's benchmark measures: writes or reads one snapshot of MEGABYTES
 * at PATH and prints its own peak of resident memory, in bytes.
 * Usage: `node codec-memory.ts encode|decode PATH MEGABYTES`.
 */
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import { LtxDecoder } from "../../shared/ltx/decoder.ts";
import { LtxEncoder } from "../../shared/ltx/encoder.ts";
import { installCodecKernel } from "../../replicator/codec-kernel.ts";
import { ltxHeader, samplePage } from "../support/ltx-fixtures.ts";

installCodecKernel();

const PAGE_SIZE = 4096;
const READ_BYTES = 1024 * 1024;

const [task, path = "", megabytes = "0"] = process.argv.slice(2);
if (task === "encode") encode(openSync(path, "w"), (Number(megabytes) * 1024 * 1024) / PAGE_SIZE);
else decode(openSync(path, "r"));
console.log(process.resourceUsage().maxRSS * 1024);

function encode(file: number, commit: number): void {
  const encoder = new LtxEncoder(ltxHeader({ pageSize: PAGE_SIZE, commit }));
  const pages = Array.from({ length: 64 }, (_, seed) => samplePage("words", seed, PAGE_SIZE));
  for (let pgno = 1; pgno <= commit; pgno++) {
    const piece = encoder.page(pgno, pages[pgno % pages.length] ?? new Uint8Array());
    if (piece) writeSync(file, piece);
  }
  for (const chunk of encoder.finish()) writeSync(file, chunk);
  closeSync(file);
}

function decode(file: number): void {
  const decoder = new LtxDecoder();
  const chunk = new Uint8Array(READ_BYTES);
  let sum = 0;
  for (let size = readSync(file, chunk); size > 0; size = readSync(file, chunk)) {
    for (const { data } of decoder.push(chunk.subarray(0, size))) sum += data[0] ?? 0;
  }
  if (decoder.finish().pageCount === 0 || sum === 0) throw new Error("there was nothing to decode");
  closeSync(file);
}
