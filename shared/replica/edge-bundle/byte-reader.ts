import { ReplicaError } from "../../errors.ts";
import { readUvarint, type VarintCursor } from "../../ltx/varint.ts";

/**
 * Takes apart what `ByteWriter` wrote. Everything that does not fit is `CORRUPT_PAGE`: whoever reads a
 * bundle turns that into "no bundle".
 */
export class ByteReader {
  readonly #cursor: VarintCursor;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#cursor = { bytes, offset };
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** Where the next value begins, in bytes. */
  get offset(): number {
    return this.#cursor.offset;
  }

  get remaining(): number {
    return this.#cursor.bytes.length - this.#cursor.offset;
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4));
  }

  uint64(): bigint {
    return this.#view.getBigUint64(this.#take(8));
  }

  uvarint(): number {
    return readUvarint(this.#cursor);
  }

  /** An integer of at most `max`. */
  uvarintUpTo(max: number, what: string): number {
    const value = this.uvarint();
    if (value > max) refuseBundle(`${what} of ${value} is more than ${max}`);
    return value;
  }

  /** The next bytes, as a view. */
  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.#cursor.bytes.subarray(start, start + length);
  }

  /** @throws {ReplicaError} `CORRUPT_PAGE` when something is left. */
  end(): void {
    if (this.remaining !== 0) refuseBundle(`${this.remaining} bytes are left over`);
  }

  #take(length: number): number {
    const start = this.#cursor.offset;
    if (length > this.remaining) refuseBundle(`it ends within a field at byte ${start}`);
    this.#cursor.offset += length;
    return start;
  }
}

/** A part of a bundle is not what it ought to be. */
export function refuseBundle(what: string): never {
  throw new ReplicaError("CORRUPT_PAGE", `the bundle is damaged: ${what}`);
}
