/**
 * The other side of `encodeBeside`: compresses pages and takes the file's checksum, which is most of the work
 * that a large file makes.
 */
import { parentPort, workerData } from "node:worker_threads";
import { isReplicaError, type ErrorCode } from "../../shared/errors.ts";
import type { LtxSummary } from "../../shared/ltx/decoder.ts";
import { LtxEncoder } from "../../shared/ltx/encoder.ts";
import type { LtxHeader } from "../../shared/ltx/header.ts";
import type { PageCodec } from "../../shared/ltx/page-frame.ts";
import { installCodecKernel } from "../codec-kernel.ts";

/** What the thread is started with. */
export interface EncodingStart {
  readonly header: LtxHeader;
  readonly codec: PageCodec | undefined;
}

/** Pages that follow each other in the file. */
export interface PageBatch {
  readonly pgnos: Uint32Array;
  /** One behind the other; a buffer that belongs to whoever got it last. */
  readonly pages: Uint8Array<ArrayBuffer>;
  /** Pieces that are written, to be filled once more. */
  readonly spare: readonly Uint8Array<ArrayBuffer>[];
}

/** What a batch, or `finish`, is answered with, in the same order. */
export type EncodingReply =
  | {
      readonly pieces: readonly Uint8Array<ArrayBuffer>[];
      /** The batch's buffer. */
      readonly pages?: Uint8Array<ArrayBuffer>;
      /** Of the whole file; with its last pieces. */
      readonly summary?: LtxSummary;
    }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } };

installCodecKernel();
const { header, codec } = workerData as EncodingStart;
const spare: Uint8Array[] = [];
let encoder: LtxEncoder | undefined;

parentPort?.on("message", (message: PageBatch | "finish") => {
  try {
    // Here, so that a header that it refuses is answered.
    encoder ??= new LtxEncoder(header, { codec, spare });
    if (message === "finish") finish(encoder);
    else encode(encoder, message);
  } catch (error) {
    if (!isReplicaError(error)) throw error;
    reply({ error: { code: error.code, message: error.message } });
  }
});

function encode(to: LtxEncoder, { pgnos, pages, spare: returned }: PageBatch): void {
  for (const { buffer } of returned) spare.push(new Uint8Array(buffer));
  const { pageSize } = header;
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  for (const [index, pgno] of pgnos.entries()) {
    const start = index * pageSize;
    const piece = to.page(pgno, pages.subarray(start, start + pageSize));
    if (piece) pieces.push(piece as Uint8Array<ArrayBuffer>);
  }
  reply(
    { pieces, pages },
    [pages, ...pieces].map(({ buffer }) => buffer),
  );
}

/** Copied: some of the last pieces lie in one buffer. */
function finish(to: LtxEncoder): void {
  const pieces = to.finish() as Uint8Array<ArrayBuffer>[];
  reply({ pieces, summary: to.summary });
}

function reply(message: EncodingReply, owned: readonly ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, [...owned]);
}
