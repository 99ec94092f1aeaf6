import { closeSync, fsyncSync, openSync, unlinkSync, writeSync } from "node:fs";
import { syncFolderOf } from "./txid-file.ts";

const MAGIC = Uint8Array.of(0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7);
/** The header has a sector of its own; the smallest that SQLite knows will do. */
const SECTOR_BYTES = 512;
/** A record's checksum adds every so many-th byte of its page, from the end. */
const CHECKSUM_STEP = 200;
const BUFFER_BYTES = 1024 * 1024;

/**
 * SQLite's own rollback journal beside a database, written by us: what the pages held before they are
 * overwritten. When we die in the middle, whoever opens the database next, SQLite in any program, puts
 * the pages back before it reads.
 *
 * @see https://www.sqlite.org/fileformat2.html#the_rollback_journal
 */
export class RollbackJournal {
  readonly #path: string;
  readonly #fd: number;
  readonly #pageSize: number;
  readonly #pageCount: number;
  readonly #nonce: number;
  readonly #buffer: Buffer;
  #bufferedBytes = 0;
  #offset = SECTOR_BYTES;
  #records = 0;
  #isSealed = false;

  /**
   * @param pageCount Size of the database before the change, in pages.
   * @param nonce Any 32-bit number: makes the checksums those of this journal.
   */
  constructor(
    databasePath: string,
    options: { readonly pageSize: number; readonly pageCount: number; readonly nonce: number },
  ) {
    this.#path = `${databasePath}-journal`;
    this.#pageSize = options.pageSize;
    this.#pageCount = options.pageCount;
    this.#nonce = options.nonce;
    this.#buffer = Buffer.alloc(Math.max(BUFFER_BYTES, options.pageSize + 8));
    this.#fd = openSync(this.#path, "w", 0o644);
  }

  /** Keeps what page `pgno` holds now. */
  add(pgno: number, page: Uint8Array): void {
    if (this.#bufferedBytes + page.length + 8 > this.#buffer.length) this.#flush();
    const buffer = this.#buffer;
    let end = buffer.writeUInt32BE(pgno, this.#bufferedBytes);
    buffer.set(page, end);
    end = buffer.writeUInt32BE(this.#checksum(page), end + page.length);
    this.#bufferedBytes = end;
    this.#records++;
  }

  /** Says whether an interruption may be undone by it. */
  get isSealed(): boolean {
    return this.#isSealed;
  }

  /** From here on an interruption is undone. Before it the journal counts for nothing. */
  seal(): void {
    this.#flush();
    this.#isSealed = true;
    const header = Buffer.alloc(SECTOR_BYTES);
    header.set(MAGIC);
    header.writeUInt32BE(this.#records, 8);
    header.writeUInt32BE(this.#nonce, 12);
    header.writeUInt32BE(this.#pageCount, 16);
    header.writeUInt32BE(SECTOR_BYTES, 20);
    header.writeUInt32BE(this.#pageSize, 24);
    writeAll(this.#fd, header, 0);
    fsyncSync(this.#fd);
    syncFolderOf(this.#path);
  }

  /** Makes the change final. */
  remove(): void {
    unlinkSync(this.#path);
  }

  /** Lets go of the file, which stays where it was not removed. */
  close(): void {
    closeSync(this.#fd);
  }

  #flush(): void {
    writeAll(this.#fd, this.#buffer.subarray(0, this.#bufferedBytes), this.#offset);
    this.#offset += this.#bufferedBytes;
    this.#bufferedBytes = 0;
  }

  #checksum(page: Uint8Array): number {
    let sum = this.#nonce;
    for (let i = this.#pageSize - CHECKSUM_STEP; i > 0; i -= CHECKSUM_STEP) sum += page[i] ?? 0;
    return sum >>> 0;
  }
}

function writeAll(fd: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(fd, bytes, done, bytes.length - done, offset + done);
  }
}
