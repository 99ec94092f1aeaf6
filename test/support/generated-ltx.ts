/**
 * LTX files of any size that take no memory for their pages: a page index that is built, and frames that
 * are made when a read asks for them, out of a few templates. The file's checksum is not right: nobody
 * reads such a file whole.
 */
import { toChecksum } from "../../shared/ltx/checksum.ts";
import { encodeHeader } from "../../shared/ltx/header.ts";
import { encodeTrailer } from "../../shared/ltx/trailer.ts";
import { writeUvarint } from "../../shared/ltx/varint.ts";
import { formatLtxKey, type LtxKey } from "../../shared/replica/ltx-key.ts";
import { resolveRange } from "../../shared/storage/byte-range.ts";
import type { Etag, ObjectInfo, ObjectStore } from "../../shared/storage/object-store.ts";
import { ltxHeader, rawFrame, samplePage } from "./ltx-fixtures.ts";
import { txid } from "./replica-fixtures.ts";

const TEMPLATES = 24;

export interface GeneratedLtxOptions {
  readonly level: number;
  readonly minTxid: number;
  readonly maxTxid?: number;
  readonly pageSize?: number;
  /** Size of the database, in pages. */
  readonly commit: number;
  /** Ascending; all pages from 1 on where nothing is said. */
  readonly pgnos?: Uint32Array;
  /** How well a page compresses, 0 (not at all) to 1; it tells two pages of one compressibility apart by number only. */
  readonly compressibility?: (pgno: number) => number;
}

/** One LTX object, made on demand. */
export class GeneratedLtx {
  readonly level: number;
  readonly key: string;
  readonly etag: Etag;
  readonly pageSize: number;
  readonly pgnos: Uint32Array;
  /** Where each frame begins, and behind them where the last ends. */
  readonly offsets: Float64Array;
  readonly index: Uint8Array;
  readonly #head: Uint8Array;
  readonly #frames: readonly Uint8Array[];
  readonly #pages: readonly Uint8Array[];
  readonly #choose: (pgno: number) => number;

  constructor(options: GeneratedLtxOptions) {
    const { level, minTxid, maxTxid = minTxid, pageSize = 4_096, commit } = options;
    const { compressibility = () => 0.5 } = options;
    this.level = level;
    const range: LtxKey = { level, minTxid: txid(minTxid), maxTxid: txid(maxTxid) };
    this.key = formatLtxKey({ path: "db", layout: "s3" }, range);
    this.etag = `generated ${level} ${minTxid} ${maxTxid}` as Etag;
    this.pageSize = pageSize;
    this.pgnos = options.pgnos ?? Uint32Array.from({ length: commit }, (_, n) => n + 1);
    this.#head = encodeHeader(
      ltxHeader({ minTxid, maxTxid, commit, pageSize, timestampMs: 1_000 * maxTxid }),
    );
    this.#pages = Array.from({ length: TEMPLATES }, (_, n) => {
      const page = samplePage("noise", 31 * minTxid + n + 1, pageSize);
      return page.fill(0, Math.round(((TEMPLATES - n) / TEMPLATES) * pageSize));
    });
    this.#frames = this.#pages.map((page) => rawFrame(1, page).bytes);
    this.#choose = (pgno) =>
      Math.min(TEMPLATES - 1, Math.floor((1 - compressibility(pgno)) * TEMPLATES));
    this.offsets = new Float64Array(this.pgnos.length + 1);
    this.offsets[0] = this.#head.length;
    const index = new Uint8Array(24 * this.pgnos.length + 1);
    let end = 0;
    for (const [entry, pgno] of this.pgnos.entries()) {
      const size = this.#frames[this.#choose(pgno)].length;
      end = writeUvarint(index, end, pgno);
      end = writeUvarint(index, end, this.offsets[entry]);
      end = writeUvarint(index, end, size);
      this.offsets[entry + 1] = this.offsets[entry] + size;
    }
    this.index = index.slice(0, end + 1);
  }

  get info(): ObjectInfo {
    const { key, etag } = this;
    return { key, etag, sizeBytes: this.#indexOffset + this.index.length + 24, uploadedAtMs: 0 };
  }

  get #indexOffset(): number {
    return this.offsets[this.pgnos.length] + 6;
  }

  /** Where a page's frame lies; undefined when the file has none. */
  place(pgno: number): { offset: number; size: number } | undefined {
    const entry = lowerBound(this.pgnos, pgno);
    if (this.pgnos[entry] !== pgno) return undefined;
    const offset = this.offsets[entry];
    return { offset, size: this.offsets[entry + 1] - offset };
  }

  page(pgno: number): Uint8Array {
    return this.#pages[this.#choose(pgno)];
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const put = (piece: Uint8Array, at: number) => {
      const from = Math.max(0, offset - at);
      const to = Math.min(piece.length, offset + length - at);
      if (from < to) bytes.set(piece.subarray(from, to), at + from - offset);
    };
    put(this.#head, 0);
    const first = Math.max(0, lowerBound(this.offsets, offset + 1) - 1);
    for (let entry = first; entry < this.pgnos.length; entry++) {
      if (this.offsets[entry] >= offset + length) break;
      const frame = this.#frames[this.#choose(this.pgnos[entry])].slice();
      new DataView(frame.buffer).setUint32(0, this.pgnos[entry]);
      put(frame, this.offsets[entry]);
    }
    const indexEnd = this.#indexOffset + this.index.length;
    put(this.index, this.#indexOffset);
    const lengthBytes = new Uint8Array(8);
    new DataView(lengthBytes.buffer).setBigUint64(0, BigInt(this.index.length));
    put(lengthBytes, indexEnd);
    put(encodeTrailer({ postApplyChecksum: 0n, fileChecksum: toChecksum(0n) }), indexEnd + 8);
    return bytes;
  }
}

function lowerBound(values: Uint32Array | Float64Array, value: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function refuse(): Promise<never> {
  return Promise.reject(new Error("a generated store cannot be written to"));
}

/** A store that holds these files and nothing else, and cannot be written to. */
export function generatedStore(files: readonly GeneratedLtx[]): ObjectStore {
  const sorted = files.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  return {
    list: ({ prefix }) =>
      Promise.resolve({
        objects: sorted.filter(({ key }) => key.startsWith(prefix)).map(({ info }) => info),
      }),
    get: async (key, { range } = {}) => {
      const file = files.find((other) => other.key === key);
      if (!file) return undefined;
      // A turn of the event loop, so that reads side by side are answered together.
      await new Promise((resolve) => setImmediate(resolve));
      const { sizeBytes } = file.info;
      const { offset, length } = resolveRange(range, sizeBytes);
      return {
        bytes: file.read(offset, length),
        totalBytes: sizeBytes,
        etag: file.etag,
        metadata: {},
      };
    },
    put: refuse,
    delete: refuse,
  };
}

/** Numbers below `max` that look like chance and are the same each time. */
export function scattered(max: number, count: number): number[] {
  return Array.from({ length: count }, (_, n) => (n * 2_654_435_761) % max);
}

/** Tables that compress differently, one behind the other. */
export function tables(pgno: number): number {
  return [0.2, 0.9, 0.5, 0.97, 0.35, 0.7, 0.0][Math.floor(pgno / 90_001) % 7];
}

/** Every page by a chance of its own. */
export function mixed(pgno: number): number {
  return ((pgno * 2_654_435_761) % 1_000) / 1_000;
}
