/** What is remembered of every page that was shipped, across restarts. */
import { closeSync, constants, createReadStream, openSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ReplicaError, isReplicaError } from "../../shared/errors.ts";
import { LtxDecoder, type LtxPage, type LtxSummary } from "../../shared/ltx/decoder.ts";
import { decodeHeader } from "../../shared/ltx/header.ts";
import { decodeTrailer } from "../../shared/ltx/trailer.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { codeOf, publishFile, writeTemporaryFile } from "../storage/durable-file.ts";
import { imagePageCount, type LtxSource } from "./ltx-from-wal.ts";
import { decodePageSums, encodePageSums, encodeRecord } from "./page-sums-codec.ts";
import { PageChanges, PageSums, pointOf, type SumsPoint } from "./page-sums.ts";
import type { Staging } from "./staging.ts";

/** The records may grow to the size of the front, or to so many bytes, before all is written anew. */
const RECORDS_BYTES_MIN = 64 * 1024;
/** After a failed write, the next is tried so many TXIDs later: fewer than the uploader keeps files. */
const FAILED_TXIDS = 64;

/** An LTX file whose pages are noted while they are taken. */
export interface NotedLtx extends LtxSource {
  /** Undefined when they are of no use: nothing is known that they would change. */
  readonly changes: PageChanges | undefined;
}

/** All pages as they are at a TXID. */
export interface RememberedPages {
  readonly point: SumsPoint;
  /** Says whether a page is as it was shipped. */
  readonly isSame: (page: LtxPage) => boolean;
}

/**
 * The sums of all pages at the newest staged TXID, kept in a file of the staging directory. The file is
 * appended to for each TXID, unforced; what a power failure takes of it is read again from the staged
 * files. Whatever is not shown to describe exactly the state that a staged file left is dropped: then
 * the next image is shipped whole.
 */
export class PageMemory {
  readonly #staging: Staging;
  readonly #path: string;
  #sums: PageSums;
  #frontBytes = 0;
  #recordsBytes = 0;
  /** The file holds the sums of the TXID before the next one, and nothing behind them. */
  #isAppendable = false;
  #failedTxids = 0;

  private constructor(staging: Staging, pageSize: number) {
    this.#staging = staging;
    this.#path = join(staging.folder, "eddy-pages");
    this.#sums = new PageSums(pageSize);
  }

  /**
   * Reads what is remembered, and brings it up to the newest staged file. To be called under the
   * process lock, before anything is removed from the staging directory.
   */
  static async load(staging: Staging, pageSize: number): Promise<PageMemory> {
    const memory = new PageMemory(staging, pageSize);
    await memory.#read();
    if (memory.#sums.point) await memory.#catchUp(memory.#sums.point);
    return memory;
  }

  /**
   * Drops all but what describes the staged file of `txid`, which is known to be of the store's history;
   * all of it for undefined, where the store's position is taken over from somebody else.
   */
  keepOnly(txid: Txid | undefined): void {
    if (this.#sums.point?.txid !== txid) this.#sums.forget();
  }

  /** The sums at `txid`; undefined when they are not known. Good until the next file is taken. */
  at(txid: Txid | undefined): RememberedPages | undefined {
    const sums = this.#sums;
    const { point } = sums;
    if (!point || point.txid !== txid) return undefined;
    return { point, isSame: (page) => sums.isSame(page) };
  }

  /** The same file; its pages are noted as they are taken. */
  note(ltx: LtxSource): NotedLtx {
    const { header, pages, pageCount } = ltx;
    const isWhole = pageCount === imagePageCount(header.commit, header.pageSize);
    if (!isWhole && !this.#sums.point) return { ...ltx, changes: undefined };
    const changes = new PageChanges(pageCount);
    return { header, pageCount, pages: noting(pages, this.#sums, changes), changes };
  }

  /** Remembers the pages of a file that is staged now. A failure to write them down costs a later start time, nothing else. */
  async take(summary: LtxSummary, { changes }: Pick<NotedLtx, "changes">): Promise<void> {
    if (!changes) return this.#sums.forget();
    const point = pointOf(summary);
    const isNext = this.#sums.point?.txid === point.txid - 1n;
    this.#sums.take(point, changes);
    if (!this.#sums.point || this.#failedTxids-- > 0) return;
    this.#failedTxids = 0;
    try {
      if (!isNext || !this.#append(encodeRecord(point, changes))) await this.#write();
    } catch (error) {
      if (codeOf(error) === undefined) throw error;
      this.#isAppendable = false;
      this.#failedTxids = FAILED_TXIDS;
    }
  }

  /** False when the file is to be written anew instead. */
  #append(record: Uint8Array): boolean {
    const bytesMax = Math.max(RECORDS_BYTES_MIN, this.#frontBytes);
    if (!this.#isAppendable || this.#recordsBytes + record.length > bytesMax) return false;
    // Until it is whole: whatever is appended behind a record that is not is never read.
    this.#isAppendable = false;
    // Without O_CREAT: records alone are no file.
    const fd = openSync(this.#path, constants.O_WRONLY | constants.O_APPEND);
    try {
      // A copy into the system's memory: to wait for a thread would take longer.
      writeFileSync(fd, record);
    } finally {
      closeSync(fd);
    }
    this.#recordsBytes += record.length;
    this.#isAppendable = true;
    return true;
  }

  async #write(): Promise<void> {
    this.#isAppendable = false;
    const pieces = encodePageSums(this.#sums);
    const body = async function* () {
      yield* pieces;
    };
    const unfinished = join(this.#staging.workFolder, "eddy-pages");
    const temporary = await writeTemporaryFile(unfinished, body());
    try {
      await publishFile(temporary, this.#path);
    } finally {
      await temporary.handle.close();
    }
    this.#frontBytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
    this.#recordsBytes = 0;
    this.#isAppendable = true;
  }

  async #read(): Promise<void> {
    let bytes: Uint8Array;
    try {
      bytes = await readFile(this.#path);
    } catch (error) {
      // Not there, or not to be read: then the next image is shipped whole.
      if (codeOf(error) === undefined) throw error;
      return;
    }
    const decoded = decodePageSums(bytes, this.#sums.pageSize);
    if (!decoded) return;
    this.#sums = decoded.sums;
    this.#frontBytes = decoded.frontBytes;
    this.#recordsBytes = decoded.soundBytes - decoded.frontBytes;
    this.#isAppendable = decoded.soundBytes === bytes.length;
  }

  /** Takes what is staged after `point`; forgets everything when that does not follow without doubt. */
  async #catchUp(point: SumsPoint): Promise<void> {
    try {
      const txids = await this.#staging.txids();
      const at = txids.indexOf(point.txid);
      if (at < 0 || !(await this.#isOf(point))) return this.#sums.forget();
      for (const txid of txids.slice(at + 1)) {
        this.#isAppendable = false;
        const { summary, changes } = await this.#readStaged(txid);
        if (summary.header.minTxid !== txid) return this.#sums.forget();
        this.#sums.take(pointOf(summary), changes);
      }
    } catch (error) {
      if (!isReplicaError(error, "CORRUPT_PAGE")) throw error;
      this.#sums.forget();
    }
  }

  /** Says whether the staged file of that TXID is the one that the sums are of. */
  async #isOf({ txid, commit, fileChecksum, timestampMs }: SumsPoint): Promise<boolean> {
    const { head, tail } = await this.#staging.ends(txid);
    const header = decodeHeader(head);
    const isSame =
      header.maxTxid === txid && header.commit === commit && header.timestampMs === timestampMs;
    return isSame && decodeTrailer(tail).fileChecksum === fileChecksum;
  }

  async #readStaged(txid: Txid): Promise<{ summary: LtxSummary; changes: PageChanges }> {
    const decoder = new LtxDecoder({ reusesPages: true });
    const changes = new PageChanges(0);
    for await (const chunk of createReadStream(this.#staging.pathOf(txid))) {
      for (const { pgno, data } of decoder.push(chunk as Uint8Array)) {
        if (data.length !== this.#sums.pageSize) refusePageSize(txid);
        changes.add(pgno, this.#sums.sumOf(data));
      }
    }
    return { summary: decoder.finish(), changes };
  }
}

function refusePageSize(txid: Txid): never {
  throw new ReplicaError("CORRUPT_PAGE", `staged TXID ${txid} has pages of another size`);
}

function* noting(
  pages: Iterable<LtxPage>,
  sums: PageSums,
  changes: PageChanges,
): Generator<LtxPage> {
  for (const page of pages) {
    changes.add(page.pgno, sums.sumOf(page.data));
    yield page;
  }
}
