import { ReplicaError } from "../errors.ts";
import { PAGE_SIZE_MAX, PAGE_SIZE_MIN } from "../limits.ts";
import { CHECKSUM_FLAG } from "./checksum.ts";
import { formatTxid, type Txid } from "./txid.ts";

export const LTX_HEADER_BYTES = 100;

/** The file carries no checksums of the database. Litestream refuses to merge files without it. */
export const HEADER_FLAG_NO_CHECKSUM = 2;

/** "LTX1" */
const MAGIC = 0x4c545831;

/** The first 100 bytes of an LTX file. */
export interface LtxHeader {
  readonly flags: number;
  /** In bytes. */
  readonly pageSize: number;
  /** Size of the database after this file, in pages. */
  readonly commit: number;
  readonly minTxid: Txid;
  readonly maxTxid: Txid;
  /** When the file was made, in milliseconds since the Unix epoch. */
  readonly timestampMs: number;
  /** Database checksum before this file; 0 in files without database checksums. */
  readonly preApplyChecksum: bigint;
  /** Where in the WAL the file's content came from, in bytes; 0 when it is not known. */
  readonly walOffset: number;
  /** In bytes. */
  readonly walSize: number;
  readonly walSalt1: number;
  readonly walSalt2: number;
  readonly nodeId: bigint;
}

/** Says whether a file is a snapshot: it begins at TXID 1, so it must hold the whole database. */
export function isSnapshot(header: LtxHeader): boolean {
  return header.minTxid === 1n;
}

/** Says whether a file does without checksums of the database, as all of Litestream's do. */
export function hasNoChecksum(header: LtxHeader): boolean {
  return (header.flags & HEADER_FLAG_NO_CHECKSUM) !== 0;
}

/**
 * Decodes the header that `bytes` begin with.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when it is not an LTX header or breaks a rule of the format.
 */
export function decodeHeader(bytes: Uint8Array): LtxHeader {
  if (bytes.length < LTX_HEADER_BYTES) {
    refuse(`it has ${bytes.length} bytes, less than the ${LTX_HEADER_BYTES} of a header`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, LTX_HEADER_BYTES);
  if (view.getUint32(0) !== MAGIC) refuse('it does not begin with "LTX1"');
  const header: LtxHeader = {
    flags: view.getUint32(4),
    pageSize: view.getUint32(8),
    commit: view.getUint32(12),
    minTxid: view.getBigUint64(16) as Txid,
    maxTxid: view.getBigUint64(24) as Txid,
    timestampMs: Number(view.getBigInt64(32)),
    preApplyChecksum: view.getBigUint64(40),
    walOffset: Number(view.getBigInt64(48)),
    walSize: Number(view.getBigInt64(56)),
    walSalt1: view.getUint32(64),
    walSalt2: view.getUint32(68),
    nodeId: view.getBigUint64(72),
  };
  checkHeader(header);
  return header;
}

/**
 * Encodes `header`.
 *
 * @throws {ReplicaError} `CORRUPT_PAGE` when it breaks a rule of the format.
 */
export function encodeHeader(header: LtxHeader): Uint8Array {
  checkHeader(header);
  const bytes = new Uint8Array(LTX_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, header.flags);
  view.setUint32(8, header.pageSize);
  view.setUint32(12, header.commit);
  view.setBigUint64(16, header.minTxid);
  view.setBigUint64(24, header.maxTxid);
  view.setBigUint64(32, BigInt(header.timestampMs));
  view.setBigUint64(40, header.preApplyChecksum);
  view.setBigUint64(48, BigInt(header.walOffset));
  view.setBigUint64(56, BigInt(header.walSize));
  view.setUint32(64, header.walSalt1);
  view.setUint32(68, header.walSalt2);
  view.setBigUint64(72, header.nodeId);
  return bytes;
}

function checkHeader(header: LtxHeader): void {
  const { flags, pageSize, minTxid, maxTxid } = header;
  if ((flags & ~HEADER_FLAG_NO_CHECKSUM) !== 0) {
    refuse(`its flags 0x${flags.toString(16)} are not known here`);
  }
  if (!isPageSize(pageSize)) {
    refuse(
      `its page size of ${pageSize} is not a power of two from ${PAGE_SIZE_MIN} to ${PAGE_SIZE_MAX}`,
    );
  }
  if (minTxid === 0n) refuse("its first TXID is 0");
  if (minTxid > maxTxid) {
    refuse(`its first TXID ${formatTxid(minTxid)} comes after its last, ${formatTxid(maxTxid)}`);
  }
  checkInteger("timestamp", header.timestampMs);
  checkWalPosition(header);
  checkPreApplyChecksum(header);
}

function isPageSize(size: number): boolean {
  return size >= PAGE_SIZE_MIN && size <= PAGE_SIZE_MAX && (size & (size - 1)) === 0;
}

function checkWalPosition({ walOffset, walSize, walSalt1, walSalt2 }: LtxHeader): void {
  checkInteger("WAL offset", walOffset);
  checkInteger("WAL size", walSize);
  if (walOffset !== 0) return;
  if (walSalt1 !== 0 || walSalt2 !== 0) refuse("it has WAL salts without a WAL offset");
  if (walSize !== 0) refuse(`it has a WAL size of ${walSize} without a WAL offset`);
}

function checkPreApplyChecksum(header: LtxHeader): void {
  const isPresent = header.preApplyChecksum !== 0n;
  if (isSnapshot(header) && isPresent) refuse("a snapshot has no pre-apply checksum");
  if (hasNoChecksum(header) && isPresent) refuse("it has a pre-apply checksum that its flags deny");
  if (isSnapshot(header) || hasNoChecksum(header)) return;
  if (!isPresent) refuse("it lacks the pre-apply checksum that its flags promise");
  if ((header.preApplyChecksum & CHECKSUM_FLAG) === 0n) {
    refuse("its pre-apply checksum lacks the bit that marks one");
  }
}

function checkInteger(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  refuse(`its ${name} of ${value} is not within 0 to 2^53 - 1`);
}

function refuse(what: string): never {
  throw new ReplicaError("CORRUPT_PAGE", `this is not a sound LTX file: ${what}`);
}
