/** What we use of lz4js, which has no types of its own. */
declare module "lz4js/xxh32.js" {
  /** XXH32 of `length` bytes of `bytes` from `offset` on, unsigned. */
  export function hash(seed: number, bytes: Uint8Array, offset: number, length: number): number;
}
