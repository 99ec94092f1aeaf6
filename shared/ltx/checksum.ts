import { installedKernel, type Register } from "./kernel.ts";

/** For fewer bytes a call of the kernel costs more than it saves. */
const KERNEL_BYTES_MIN = 512;

declare const checksumBrand: unique symbol;

/** A CRC-64/ISO with bit 63 set, so that a checksum that is present is never 0. */
export type Checksum = bigint & { readonly [checksumBrand]: true };

/** Bit 63, which every checksum that is present carries. */
export const CHECKSUM_FLAG = 1n << 63n;

/** Marks a plain CRC as a checksum that is present. */
export function toChecksum(crc: bigint): Checksum {
  return (crc | CHECKSUM_FLAG) as Checksum;
}

/**
 * A page's share in the checksum of its database, which is all pages' shares by XOR, bit 63 set.
 */
export function pageChecksum(pgno: number, page: Uint8Array): Checksum {
  const number = Uint8Array.of(pgno >>> 24, pgno >>> 16, pgno >>> 8, pgno);
  return new Crc64().update(number).update(page).checksum();
}

/**
 * 32 bits of a page's CRC-64, both halves folded into one, to tell a damaged page by. The plain low half
 * would not do: the polynomial is so sparse that whole runs of single-bit errors leave it as it was.
 */
export function pageChecksum32(pgno: number, page: Uint8Array): number {
  const number = Uint8Array.of(pgno >>> 24, pgno >>> 16, pgno >>> 8, pgno);
  const crc = new Crc64().update(number).update(page);
  return (crc.high ^ crc.low) >>> 0;
}

/** Writes a checksum as 16 lower-case hex digits. */
export function formatChecksum(checksum: bigint): string {
  return checksum.toString(16).padStart(16, "0");
}

/**
 * CRC-64/ISO (reflected, inverted in and out) over bytes that arrive in pieces.
 *
 * The polynomial x^64 + x^4 + x^3 + x + 1 is so sparse that four bytes take a handful of shifts and no
 * table. The register is kept as two 32-bit halves, because BigInt arithmetic is 70 times slower.
 */
export class Crc64 implements Register {
  /** The register's halves, for the kernel, which goes on with them. */
  high = -1;
  low = -1;

  /** Goes on with `bytes`; the result does not depend on how the bytes are cut. */
  update(bytes: Uint8Array): this {
    const kernel = bytes.length < KERNEL_BYTES_MIN ? undefined : installedKernel();
    if (kernel) kernel.update(this, bytes);
    else this.#update(bytes);
    return this;
  }

  /** The CRC of all bytes so far, unsigned. */
  digest(): bigint {
    return (BigInt(~this.high >>> 0) << 32n) | BigInt(~this.low >>> 0);
  }

  /** The CRC of all bytes so far, marked as present. */
  checksum(): Checksum {
    return toChecksum(this.digest());
  }

  #update(bytes: Uint8Array): void {
    // As quick as an Int32Array, which cannot begin at every address.
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const wordsEnd = bytes.length & ~3;
    let high = this.high;
    let low = this.low;
    for (let i = 0; i < wordsEnd; i += 4) {
      const word = low ^ view.getInt32(i, true);
      low = high ^ (word << 31) ^ (word << 29) ^ (word << 28);
      high = word ^ (word >>> 1) ^ (word >>> 3) ^ (word >>> 4);
    }
    this.high = high;
    this.low = low;
    for (let i = wordsEnd; i < bytes.length; i++) this.#updateByte(bytes[i]);
  }

  #updateByte(byte: number): void {
    const word = (this.low ^ byte) << 24;
    this.low = (this.low >>> 8) | (this.high << 24);
    this.high = (this.high >>> 8) ^ word ^ (word >>> 1) ^ (word >>> 3) ^ (word >>> 4);
  }
}
