/** The base of a bundle: records of all interior pages, then the page map. Immutable once it is written. */
import { Crc64 } from "../../ltx/checksum.ts";
import type { Txid } from "../../ltx/txid.ts";
import {
  BUNDLE_VERSION,
  partPagesOf,
  type BaseReference,
  type BundleFile,
} from "./bundle-format.ts";
import { encodeRecord, type RecordToEncode } from "./bundle-record.ts";
import { ByteWriter } from "./byte-writer.ts";
import { LocationEncoder, type UnitPlace, type VerifiableLocation } from "./location-coding.ts";
import { sealUnit } from "./sealed-unit.ts";

/** "EDDYBASE" */
export const BASE_MAGIC = 0x4544445942415345n;

/** Magic, version, page size, commit, TXID, identity. */
export const BASE_HEADER_BYTES = 36;

/** The state that a base describes. */
export interface BaseState {
  readonly pageSize: number;
  readonly commit: number;
  readonly txid: Txid;
  readonly files: readonly BundleFile[];
}

/** Names what a base is made of: the state, and the files by their own checksums. */
function baseIdOf({ pageSize, commit, txid, files }: BaseState): bigint {
  const writer = new ByteWriter();
  writer.uint32(BUNDLE_VERSION);
  writer.uint32(pageSize);
  writer.uint32(commit);
  writer.uint64(txid);
  for (const { level, minTxid, maxTxid, sizeBytes, fileChecksum } of files) {
    writer.uvarint(level);
    writer.uint64(minTxid);
    writer.uint64(maxTxid);
    writer.uvarint(sizeBytes);
    writer.uint64(fileChecksum);
  }
  return new Crc64().update(writer.finish()).digest();
}

/** A page's record, before the records of its children are looked up. */
export interface BaseRecord extends Pick<RecordToEncode, "frame" | "location"> {
  readonly pgno: number;
  readonly children: readonly {
    readonly pgno: number;
    readonly location: VerifiableLocation | null;
  }[];
}

/**
 * Makes a base piece by piece: `begin`, each record, each part of the map, `finish`. Keeps where the
 * records are, 16 bytes or so for each interior page, and nothing of what they hold.
 */
export class BaseWriter {
  readonly #state: BaseState;
  /** Names what the base is made of. */
  readonly id: bigint;
  readonly #records = new Map<number, UnitPlace>();
  readonly #partSizes: number[] = [];
  readonly #checksum = new Crc64();
  #mapOffset = 0;
  #offset = 0;

  constructor(state: BaseState) {
    this.#state = state;
    this.id = baseIdOf(state);
  }

  /** Where the records that were written lie, by page number. */
  get records(): ReadonlyMap<number, UnitPlace> {
    return this.#records;
  }

  /** The object's first bytes. */
  begin(): Uint8Array {
    const { pageSize, commit, txid } = this.#state;
    const writer = new ByteWriter();
    writer.uint64(BASE_MAGIC);
    writer.uint32(BUNDLE_VERSION);
    writer.uint32(pageSize);
    writer.uint32(commit);
    writer.uint64(txid);
    writer.uint64(this.id);
    return this.#written(writer.finish());
  }

  /** A record. Children come before their parents, and those of one parent one after the other. */
  record({ pgno, frame, location, children }: BaseRecord): Uint8Array {
    const known = children.map((child) => ({ ...child, record: this.#records.get(child.pgno) }));
    const content = encodeRecord({ frame, location, children: known });
    const unit = sealUnit({ id: this.id, kind: "record", number: pgno }, content);
    this.#records.set(pgno, { offset: this.#offset, size: unit.length });
    return this.#written(unit);
  }

  /** The next part of the map; all records come before the first. */
  part(locationOf: (pgno: number) => VerifiableLocation | null): Uint8Array {
    const { commit } = this.#state;
    const number = this.#partSizes.length;
    if (number === 0) this.#mapOffset = this.#offset;
    const partPages = partPagesOf(commit);
    const writer = new ByteWriter();
    const locations = new LocationEncoder(writer);
    const end = Math.min((number + 1) * partPages, commit);
    for (let pgno = number * partPages + 1; pgno <= end; pgno++) locations.write(locationOf(pgno));
    const unit = sealUnit({ id: this.id, kind: "map", number }, writer.finish());
    this.#partSizes.push(unit.length);
    return this.#written(unit);
  }

  /** How many parts the map has in the end. */
  get partCount(): number {
    return Math.ceil(this.#state.commit / partPagesOf(this.#state.commit));
  }

  /** The object's last bytes, and what the head says of it. */
  finish(): { readonly bytes: Uint8Array; readonly reference: BaseReference } {
    const { commit, txid, files } = this.#state;
    const checksum = this.#checksum.digest();
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, checksum);
    this.#offset += bytes.length;
    const reference = {
      txid,
      id: this.id,
      commit,
      fileCount: files.length,
      sizeBytes: this.#offset,
      checksum,
      mapOffset: this.#mapOffset,
      partPages: partPagesOf(commit),
      partSizes: Uint32Array.from(this.#partSizes),
    };
    return { bytes, reference };
  }

  #written(bytes: Uint8Array): Uint8Array {
    this.#checksum.update(bytes);
    this.#offset += bytes.length;
    return bytes;
  }
}
