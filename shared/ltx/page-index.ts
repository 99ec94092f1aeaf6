import { ReplicaError } from "../errors.ts";
import { LTX_HEADER_BYTES } from "./header.ts";
import { installedKernel, OFFSET_HIGH, type IndexColumns } from "./kernel.ts";
import { readUvarint, VARINT_BYTES_MAX, writeUvarint } from "./varint.ts";

/** The index's length, behind it. */
export const LTX_INDEX_LENGTH_BYTES = 8;

const PGNO_MAX = 0xffff_ffff;
/** An index grows in pieces, from small ones on: most files have a few pages, some have millions. */
const CHUNK_BYTES_MIN = 256;
const CHUNK_BYTES_MAX = 64 * 1024;
const ENTRY_BYTES_MAX = 3 * VARINT_BYTES_MAX;
/** The most that both parts of an offset hold. */
const OFFSET_MAX = 2 ** 48 - 1;
/** Far more than any page's frame has. */
const FRAME_BYTES_MAX = 2 ** 32 - 1;
/** Entries that are shown at a time without the kernel. */
const COLUMN_ENTRIES = 4_096;
/** What a byte behind the longest varint would count for. */
const VARINT_UNIT_MAX = 0x80 ** VARINT_BYTES_MAX;

/** Called once per page: where its frame begins in the file and how long it is, in bytes. */
export type PageIndexVisitor = (pgno: number, offset: number, size: number) => void;

/**
 * Reads the page index of an LTX file. It makes no object per entry: an index can have millions.
 *
 * @param block Varint triples `(pgno, offset, size)`, closed by one zero byte. The 8-byte length and
 *   the trailer are not part of it.
 * @param visit Called for each entry, in ascending page order.
 * @returns Where the last frame ends, in bytes from the start of the file.
 * @throws {ReplicaError} `CORRUPT_PAGE` when page numbers do not ascend, a frame does not begin where
 *   the one before it ended, has 4 GiB or lies 256 TiB from the file's start, the block ends before its
 *   terminator, or bytes follow the terminator.
 */
export function readPageIndex(block: Uint8Array, visit: PageIndexVisitor): number {
  let previousPgno = 0;
  let end = LTX_HEADER_BYTES;
  const entry = [0, 0];
  let field = 0;
  let start = 0;
  let value = 0;
  let unit = 1;
  // One loop over bytes, and no call for each varint: that takes half as long.
  for (let at = 0; at < block.length; at++) {
    const byte = block[at];
    value += (byte & 0x7f) * unit;
    unit *= 0x80;
    if (byte >= 0x80 && unit < VARINT_UNIT_MAX) continue;
    if (byte >= 0x80 || (byte === 0 && at > start) || value > Number.MAX_SAFE_INTEGER) {
      return refuseVarint(block, start);
    }
    if (field < 2) {
      if (field === 0 && value === 0) return refuseExtra(block.length - at - 1) ?? end;
      entry[field++] = value;
    } else {
      const [pgno, offset] = entry;
      if (pgno <= previousPgno) refuse(`page ${pgno} follows page ${previousPgno}`);
      if (pgno > PGNO_MAX) refuse(`${pgno} is larger than any page number`);
      if (offset !== end) refuse(`the frame of page ${pgno} is at byte ${offset}, not at ${end}`);
      if (value > FRAME_BYTES_MAX || offset > OFFSET_MAX) refuseTooFar(pgno);
      visit(pgno, offset, value);
      previousPgno = pgno;
      end = offset + value;
      field = 0;
    }
    start = at + 1;
    value = 0;
    unit = 1;
  }
  return refuseVarint(block, start);
}

/**
 * The same, many entries at a time: a cold Worker has nothing compiled but its WebAssembly.
 *
 * @param visit Called for the entries in ascending page order. It decodes nothing: the entries lie in the
 *   kernel's own memory.
 * @throws {ReplicaError} `CORRUPT_PAGE` as `readPageIndex`, perhaps after some entries were shown.
 */
export function readPageIndexColumns(
  block: Uint8Array,
  visit: (columns: IndexColumns) => void,
): number {
  const kernel = installedKernel();
  if (!kernel) return readInColumns(block, visit);
  const end = kernel.readIndex(block, LTX_HEADER_BYTES, visit);
  if (end !== undefined) return end;
  // It is refused, so it says why.
  return readPageIndex(block, () => undefined);
}

/** As the kernel does it. */
function readInColumns(block: Uint8Array, visit: (columns: IndexColumns) => void): number {
  const [pgnos, low, high, sizes]: number[][] = [[], [], [], []];
  const show = () => {
    visit({
      pgnos: Uint32Array.from(pgnos),
      offsetsLow: Uint32Array.from(low),
      offsetsHigh: Uint16Array.from(high),
      sizes: Uint32Array.from(sizes),
    });
    for (const column of [pgnos, low, high, sizes]) column.length = 0;
  };
  const end = readPageIndex(block, (pgno, offset, size) => {
    pgnos.push(pgno);
    low.push(offset % OFFSET_HIGH);
    high.push(Math.floor(offset / OFFSET_HIGH));
    sizes.push(size);
    if (pgnos.length === COLUMN_ENTRIES) show();
  });
  if (pgnos.length > 0) show();
  return end;
}

/** Says what is wrong with a varint, as whoever reads single ones does. */
function refuseVarint(block: Uint8Array, offset: number): never {
  readUvarint({ bytes: block, offset });
  return refuse("it has no end");
}

function refuseTooFar(pgno: number): never {
  return refuse(`the frame of page ${pgno} is larger than any, or further than any file is long`);
}

function refuseExtra(bytes: number): undefined {
  if (bytes !== 0) refuse(`${bytes} bytes follow its terminator`);
}

/** Builds a page index and its length as bytes: a few for each page, and no object per entry. */
export class PageIndexWriter {
  readonly #fullChunks: Uint8Array[] = [];
  #chunk = new Uint8Array(CHUNK_BYTES_MIN);
  #used = 0;
  #fullBytes = 0;
  #pageCount = 0;
  #frameOffset = LTX_HEADER_BYTES;

  /** How many entries there are. */
  get pageCount(): number {
    return this.#pageCount;
  }

  /** Where the next frame begins, in bytes from the start of the file. */
  get frameOffset(): number {
    return this.#frameOffset;
  }

  /** Appends the entry of the next frame in the file. */
  append(pgno: number, size: number): void {
    this.#makeRoom(ENTRY_BYTES_MAX);
    let used = writeUvarint(this.#chunk, this.#used, pgno);
    used = writeUvarint(this.#chunk, used, this.#frameOffset);
    this.#used = writeUvarint(this.#chunk, used, size);
    this.#pageCount++;
    this.#frameOffset += size;
  }

  /** Ends the index; returns it with its length behind it, in pieces. */
  finish(): readonly Uint8Array[] {
    this.#makeRoom(1 + LTX_INDEX_LENGTH_BYTES);
    this.#chunk[this.#used++] = 0;
    const length = BigInt(this.#fullBytes + this.#used);
    new DataView(this.#chunk.buffer).setBigUint64(this.#used, length);
    this.#used += LTX_INDEX_LENGTH_BYTES;
    return [...this.#fullChunks, this.#chunk.subarray(0, this.#used)];
  }

  #makeRoom(bytes: number): void {
    if (this.#used + bytes <= this.#chunk.length) return;
    this.#fullChunks.push(this.#chunk.subarray(0, this.#used));
    this.#fullBytes += this.#used;
    this.#chunk = new Uint8Array(Math.min(2 * this.#chunk.length, CHUNK_BYTES_MAX));
    this.#used = 0;
  }
}

/** Holds an index that arrives in pieces against the one that its file's frames call for. */
export class PageIndexMatcher {
  readonly #expected: readonly Uint8Array[];
  #chunkIndex = 0;
  #matched = 0;

  /** @param expected What `PageIndexWriter.finish` gave for the frames. */
  constructor(expected: readonly Uint8Array[]) {
    this.#expected = expected;
  }

  get isDone(): boolean {
    return this.#chunkIndex === this.#expected.length;
  }

  /**
   * Compares the next bytes, up to the end of the index and its length.
   *
   * @returns How many bytes belonged to them.
   * @throws {ReplicaError} `CORRUPT_PAGE` at the first byte that differs.
   */
  match(bytes: Uint8Array): number {
    let read = 0;
    while (read < bytes.length && !this.isDone) {
      const chunk = this.#expected[this.#chunkIndex];
      const end = Math.min(bytes.length, read + chunk.length - this.#matched);
      for (; read < end; read++) {
        if (bytes[read] !== chunk[this.#matched]) refuseMismatch(chunk, this.#matched);
        this.#matched++;
      }
      if (this.#matched === chunk.length) {
        this.#chunkIndex++;
        this.#matched = 0;
      }
    }
    return read;
  }
}

/** Says which entry the byte at `position` belongs to. No entry lies across two chunks. */
function refuseMismatch(chunk: Uint8Array, position: number): never {
  const cursor = { bytes: chunk, offset: 0 };
  for (let pgno = readUvarint(cursor); pgno !== 0; pgno = readUvarint(cursor)) {
    readUvarint(cursor);
    readUvarint(cursor);
    if (cursor.offset > position) refuse(`its entry for page ${pgno} does not match the frame`);
  }
  return refuse("its end or its length does not match the frames");
}

function refuse(what: string): never {
  throw new ReplicaError("CORRUPT_PAGE", `the page index is damaged: ${what}`);
}
