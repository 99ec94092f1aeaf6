/**
 * Where pages lie, in some seven bytes a page: what follows its predecessor in the same LTX file names
 * neither. `docs/edge-bundle.md` has the bytes.
 */
import type { PageLocation } from "../page-locator.ts";
import { refuseBundle, type ByteReader } from "./byte-reader.ts";
import type { ByteWriter } from "./byte-writer.ts";

/** A location with what its page is verified by, as a bundle always has it. */
export interface VerifiableLocation extends PageLocation {
  readonly checksum: number;
}

const OFFSET_MAX = 2 ** 48;

/** Maps an integer of either sign to one that is not negative: 0, -1, 1, -2, … */
function toUnsigned(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value;
}

function toSigned(value: number): number {
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2;
}

/** Writes one run of locations; the next run begins with a new encoder. */
export class LocationEncoder {
  readonly #writer: ByteWriter;
  #file = 0;
  /** Where the last page that was written of each file ends, in bytes. */
  readonly #ends = new Map<number, number>();

  constructor(writer: ByteWriter) {
    this.#writer = writer;
  }

  /** Null for a page that no file holds. */
  write(location: VerifiableLocation | null): void {
    const writer = this.#writer;
    if (!location) return writer.uvarint(0);
    const { file, offset, size, checksum } = location;
    const jump = toUnsigned(offset - (this.#ends.get(file) ?? 0));
    writer.uvarint(size);
    if (file !== this.#file) {
      writer.uvarint(2 * (file + 1));
      writer.uvarint(jump);
    } else {
      writer.uvarint(jump === 0 ? 0 : 2 * jump + 1);
    }
    writer.uint32(checksum);
    this.#file = file;
    this.#ends.set(file, offset + size);
  }
}

/** Reads one run of locations. */
export class LocationDecoder {
  readonly #reader: ByteReader;
  readonly #fileCount: number;
  #file = 0;
  readonly #ends = new Map<number, number>();

  /** @param fileCount Files that the bundle knows: a location in another one is damage. */
  constructor(reader: ByteReader, fileCount: number) {
    this.#reader = reader;
    this.#fileCount = fileCount;
  }

  /** Of the page that was read last: in which file it lies, and where. A size of 0 is nowhere. */
  get file(): number {
    return this.#file;
  }
  offset = 0;
  size = 0;
  checksum = 0;

  /**
   * Reads the next location into the decoder's own fields: a base has hundreds in each record.
   *
   * @throws {ReplicaError} `CORRUPT_PAGE`
   */
  next(): this {
    const reader = this.#reader;
    this.size = reader.uvarint();
    if (this.size === 0) return this;
    const control = reader.uvarint();
    let jump = 0;
    if (control % 2 === 1) {
      jump = toSigned((control - 1) / 2);
    } else if (control > 0) {
      this.#file = control / 2 - 1;
      jump = toSigned(reader.uvarint());
    }
    if (this.#file >= this.#fileCount) {
      refuseBundle(`it names file ${this.#file} of ${this.#fileCount}`);
    }
    this.offset = (this.#ends.get(this.#file) ?? 0) + jump;
    const end = this.offset + this.size;
    if (this.offset < 0 || end > OFFSET_MAX) refuseBundle(`it names byte ${this.offset} of a file`);
    this.#ends.set(this.#file, end);
    this.checksum = reader.uint32();
    return this;
  }

  /** @throws {ReplicaError} `CORRUPT_PAGE` */
  read(): VerifiableLocation | null {
    const { file, offset, size, checksum } = this.next();
    return size === 0 ? null : { file, offset, size, checksum };
  }
}

/** A part of a base: what a reader fetches by itself. In bytes. */
export interface UnitPlace {
  readonly offset: number;
  readonly size: number;
}

/** Writes where the records of a page's children lie; they mostly follow one another. */
export class UnitPlaceEncoder {
  readonly #writer: ByteWriter;
  #end = 0;

  constructor(writer: ByteWriter) {
    this.#writer = writer;
  }

  write(place: UnitPlace | undefined): void {
    const writer = this.#writer;
    writer.uvarint(place?.size ?? 0);
    if (!place) return;
    writer.uvarint(toUnsigned(place.offset - this.#end));
    this.#end = place.offset + place.size;
  }
}

/** Reads what `UnitPlaceEncoder` wrote. */
export class UnitPlaceDecoder {
  readonly #reader: ByteReader;
  #end = 0;

  constructor(reader: ByteReader) {
    this.#reader = reader;
  }

  /** @throws {ReplicaError} `CORRUPT_PAGE` */
  read(): UnitPlace | undefined {
    const size = this.#reader.uvarint();
    if (size === 0) return undefined;
    const offset = this.#end + toSigned(this.#reader.uvarint());
    if (offset < 0 || offset + size > OFFSET_MAX)
      refuseBundle(`it names byte ${offset} of its base`);
    this.#end = offset + size;
    return { offset, size };
  }
}
