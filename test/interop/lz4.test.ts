import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { installCodecKernel } from "../../replicator/codec-kernel.ts";
import { Crc64 } from "../../shared/ltx/checksum.ts";
import { installedKernel } from "../../shared/ltx/kernel.ts";
import { decodeLz4Block, encodeLz4Block, lz4BlockBytesMax } from "../../shared/ltx/lz4-block.ts";
import { decodeLz4Frame, encodeLz4Frame, lz4FrameBytesMax } from "../../shared/ltx/lz4-frame.ts";
import { createSampleDatabase } from "../../tools/demo/sample-database.ts";
import { peerBinary } from "../support/litestream.ts";
import { PAGE_KINDS, sameBytes, samplePage } from "../support/ltx-fixtures.ts";

/**
 * liblz4's side, behind Python's binding: decodes what it is given and says which of it came out
 * right; encodes the same pages in every way that it knows.
 */
const PEER = `
import base64, itertools, json, lz4.block, lz4.frame, sys

def decoded(decode):
    try:
        return decode()
    except Exception as error:
        return str(error)

def in_base64(encoded):
    return base64.b64encode(encoded).decode()

for line in sys.stdin:
    page, block, frame, fast = (base64.b64decode(text) for text in json.loads(line))
    answer = {
        "block": decoded(lambda: lz4.block.decompress(block, uncompressed_size=len(page))) == page,
        "kernel": decoded(lambda: lz4.block.decompress(fast, uncompressed_size=len(page))) == page,
        "frame": decoded(lambda: lz4.frame.decompress(frame)) == page,
        "blocks": [in_base64(lz4.block.compress(page, mode=mode, store_size=False))
                   for mode in ("default", "fast", "high_compression")],
        "frames": [in_base64(lz4.frame.compress(page, block_linked=linked, content_checksum=content,
                                                block_checksum=block_sum, store_size=size))
                   for linked, content, block_sum, size in itertools.product((False, True), repeat=4)],
    }
    print(json.dumps(answer))
`;

interface PeerAnswer {
  readonly block: boolean;
  readonly kernel: boolean;
  readonly frame: boolean;
  readonly blocks: readonly string[];
  readonly frames: readonly string[];
}

/** Of a page frame, before its block. */
const HEAD_BYTES = 10;

installCodecKernel();
const kernel = installedKernel()!;

const folder = mkdtempSync(join(tmpdir(), "eddy-lz4-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Every tenth page of the sample database, and pages made up in every size. */
function testPages(): Uint8Array[] {
  const path = join(folder, "sample.db");
  createSampleDatabase(path);
  const database = new Uint8Array(readFileSync(path));
  const pages: Uint8Array[] = [];
  for (let start = 0; start < database.length && pages.length < 1000; start += 10 * 4096) {
    pages.push(database.slice(start, start + 4096));
  }
  for (const kind of PAGE_KINDS) {
    for (let size = 512; size <= 65_536; size *= 2) {
      for (let seed = 1; seed <= 5; seed++) pages.push(samplePage(kind, seed, size));
    }
  }
  // The last bytes repeat earlier ones, so that an encoder is tempted to match where it may not.
  for (let tail = 4; tail < 24; tail++) {
    const page = samplePage("noise", tail, 4096);
    pages.push(page.copyWithin(4096 - tail, 100, 100 + tail));
  }
  return pages;
}

function ourBlock(page: Uint8Array): Uint8Array {
  const target = new Uint8Array(lz4BlockBytesMax(page.length));
  return target.subarray(0, encodeLz4Block(page, target, 0));
}

function kernelBlock(page: Uint8Array): Uint8Array {
  const target = new Uint8Array(HEAD_BYTES + lz4BlockBytesMax(page.length));
  const length = kernel.encodeFrame(1, page, target, 0, new Crc64());
  return target.subarray(HEAD_BYTES, length);
}

function ourFrame(page: Uint8Array): Uint8Array {
  const target = new Uint8Array(lz4FrameBytesMax(page.length));
  return target.subarray(0, encodeLz4Frame(page, target, 0));
}

describe("LZ4 beside liblz4", () => {
  const pages = testPages();
  let answers: readonly PeerAnswer[] = [];

  beforeAll(() => {
    const input = pages.map((page) => {
      const encodings = [page, ourBlock(page), ourFrame(page), kernelBlock(page)];
      return JSON.stringify(encodings.map((bytes) => Buffer.from(bytes).toString("base64")));
    });
    const { status, stdout, stderr } = spawnSync(peerBinary("python"), ["-c", PEER], {
      input: input.join("\n"),
      encoding: "utf8",
      maxBuffer: 2 ** 30,
    });
    expect(stderr).toBe("");
    expect(status).toBe(0);
    answers = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as PeerAnswer);
  });

  it("covers pages of every size", () => {
    expect(answers).toHaveLength(pages.length);
    expect(pages.length).toBeGreaterThan(300);
    expect(new Set(pages.map(({ length }) => length)).size).toBe(8);
  });

  it("liblz4 takes each of our blocks and frames", () => {
    const refused = answers.filter(({ block, kernel, frame }) => !block || !kernel || !frame);
    expect(refused).toHaveLength(0);
  });

  it("we take each block of liblz4's, however hard it compressed", () => {
    for (const [i, { blocks }] of answers.entries()) {
      for (const block of blocks) {
        const page = new Uint8Array(pages[i].length);
        const bytes = Buffer.from(block, "base64");
        decodeLz4Block(bytes, page);
        expect(sameBytes(page, pages[i])).toBe(true);
        const frame = Buffer.concat([Buffer.alloc(HEAD_BYTES), bytes]);
        expect(sameBytes(kernel.decodeFrame(frame, page.length), page)).toBe(true);
      }
    }
  });

  it("we take each frame of liblz4's, with whatever checksums and sizes it carries", () => {
    for (const [i, { frames }] of answers.entries()) {
      expect(frames).toHaveLength(16);
      for (const frame of frames) {
        const page = new Uint8Array(pages[i].length);
        decodeLz4Frame(Buffer.from(frame, "base64"), page);
        expect(sameBytes(page, pages[i])).toBe(true);
      }
    }
  });
});
