import { createCipheriv, randomBytes } from "node:crypto";
import type { LtxPage, LtxSummary } from "../../shared/ltx/decoder.ts";
import { pageSumKeyBytes, sumPage } from "../../shared/ltx/page-sum.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { imagePageCount } from "./ltx-from-wal.ts";

export const SUMS_KEY_BYTES = 16;

/** What the sums describe: the database as the level 0 file of one TXID left it. */
export interface SumsPoint {
  readonly txid: Txid;
  /** Size of the database, in pages. */
  readonly commit: number;
  /** The file's stamp. */
  readonly timestampMs: number;
  /** The checksum in the file's trailer: it tells this file from any other of the same TXID. */
  readonly fileChecksum: bigint;
}

/** Pages that one LTX file holds, with their sums, in the file's order. */
export class PageChanges {
  #pgnos: Uint32Array<ArrayBuffer>;
  #sums: BigUint64Array<ArrayBuffer>;
  #count = 0;

  /** @param capacity Pages that are expected; more may come. */
  constructor(capacity: number) {
    this.#pgnos = new Uint32Array(capacity);
    this.#sums = new BigUint64Array(capacity);
  }

  get count(): number {
    return this.#count;
  }

  get pgnos(): Uint32Array {
    return this.#pgnos.subarray(0, this.#count);
  }

  get sums(): BigUint64Array {
    return this.#sums.subarray(0, this.#count);
  }

  add(pgno: number, sum: bigint): void {
    if (this.#count === this.#pgnos.length) this.#grow();
    this.#pgnos[this.#count] = pgno;
    this.#sums[this.#count] = sum;
    this.#count++;
  }

  #grow(): void {
    const capacity = Math.max(16, 2 * this.#count);
    const [pgnos, sums] = [new Uint32Array(capacity), new BigUint64Array(capacity)];
    pgnos.set(this.#pgnos);
    sums.set(this.#sums);
    [this.#pgnos, this.#sums] = [pgnos, sums];
  }
}

/**
 * A sum of each page as it was shipped last, in 8 bytes a page: 2 MB for a database of 1 GB.
 *
 * A page whose content differs and whose sum does not would be missed, so the sums are no CRC (with the sparse
 * polynomial of LTX's CRC-64, two numbers that lie 8 bytes apart and change together can leave it as it was) but
 * a universal hash: two contents have the same sum with a probability of 2^-63, whatever they are. A database of
 * 1 TB that is compared as a whole, every page of it changed, misses one with 3 in 10^11. The key is random, made anew
 * for each file of sums and shown to nobody, so that content cannot be made up that collides.
 */
export class PageSums {
  readonly pageSize: number;
  readonly key: Uint8Array;
  /** The same key, as long as the hash needs it. */
  readonly #longKey: Uint8Array;
  #sums: BigUint64Array<ArrayBuffer>;
  #point: SumsPoint | undefined;

  constructor(
    pageSize: number,
    key: Uint8Array = randomBytes(SUMS_KEY_BYTES),
    sums = new BigUint64Array(0),
    point?: SumsPoint,
  ) {
    this.pageSize = pageSize;
    this.key = key;
    this.#longKey = lengthen(key, pageSumKeyBytes(pageSize));
    this.#sums = sums;
    this.#point = point;
  }

  /** Undefined when no TXID's pages are known. */
  get point(): SumsPoint | undefined {
    return this.#point;
  }

  /** One a page, page 1 first; the lock page's means nothing. */
  get sums(): BigUint64Array {
    return this.#sums.subarray(0, this.#point?.commit ?? 0);
  }

  sumOf(page: Uint8Array): bigint {
    return sumPage(page, this.#longKey);
  }

  /** Says whether `page` is as it was shipped. */
  isSame({ pgno, data }: LtxPage): boolean {
    if (!this.#point || pgno > this.#point.commit) return false;
    return this.#sums[pgno - 1] === this.sumOf(data);
  }

  forget(): void {
    this.#point = undefined;
    this.#sums = new BigUint64Array(0);
  }

  /**
   * Goes on to what a file made of the database: one that holds all of it, or the one of the next TXID.
   * After any other nothing is known any more.
   *
   * @param changes All of the file's pages.
   */
  take(point: SumsPoint, changes: PageChanges): void {
    const { commit } = point;
    const isWhole = changes.count === imagePageCount(commit, this.pageSize);
    const isNext = this.#point !== undefined && point.txid === this.#point.txid + 1n;
    if (!isWhole && !isNext) return this.forget();
    if (this.#sums.length < commit) {
      const larger = new BigUint64Array(Math.max(commit, Math.ceil(1.25 * this.#sums.length)));
      larger.set(this.#sums);
      this.#sums = larger;
    }
    const { pgnos, sums } = changes;
    for (const [index, pgno] of pgnos.entries()) this.#sums[pgno - 1] = sums[index] ?? 0n;
    this.#point = point;
  }
}

/** As many bytes as are wanted that nobody can tell from random ones without the key. */
function lengthen(key: Uint8Array, bytes: number): Uint8Array {
  // The stream of a cipher in counter mode. Its start is of no account: a key makes one stream only.
  return createCipheriv("aes-128-ctr", key, new Uint8Array(16)).update(new Uint8Array(bytes));
}

export function pointOf({ header, trailer }: Pick<LtxSummary, "header" | "trailer">): SumsPoint {
  const { maxTxid: txid, commit, timestampMs } = header;
  return { txid, commit, timestampMs, fileChecksum: trailer.fileChecksum };
}
