/** What the tests use of lz4js, which has no types of its own. */
declare module "lz4js" {
  /** Encodes `length` bytes; returns how many it wrote, 0 when they do not compress. */
  export function compressBlock(
    source: Uint8Array,
    target: Uint8Array,
    offset: number,
    length: number,
    hashTable: Uint32Array,
  ): number;
  /** Decodes `length` bytes; returns where in `target` it ended. */
  export function decompressBlock(
    source: Uint8Array,
    target: Uint8Array,
    offset: number,
    length: number,
    targetOffset: number,
  ): number;
  /** Decodes one frame; returns how many bytes it held. */
  export function decompressFrame(source: Uint8Array, target: Uint8Array): number;
}

declare module "lz4js/xxh32.js" {
  /** XXH32 of `length` bytes of `bytes` from `offset` on, unsigned. */
  export function hash(seed: number, bytes: Uint8Array, offset: number, length: number): number;
}
