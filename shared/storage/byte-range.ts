import type { ByteRange } from "./object-store.ts";

/** A range as it lies in an object of known size; `length` may be 0. */
export interface ResolvedRange {
  readonly offset: number;
  readonly length: number;
}

/** Clips `range` to an object of `totalBytes`; no range is the whole object. */
export function resolveRange(range: ByteRange | undefined, totalBytes: number): ResolvedRange {
  if (range === undefined) return { offset: 0, length: totalBytes };
  if ("suffix" in range) {
    const length = Math.min(range.suffix, totalBytes);
    return { offset: totalBytes - length, length };
  }
  const offset = Math.min(range.offset, totalBytes);
  return { offset, length: Math.min(range.length, totalBytes - offset) };
}

/** Says whether `range` asks for no byte at all, which HTTP's Range header cannot express. */
export function isEmptyRange(range: ByteRange | undefined): boolean {
  if (range === undefined) return false;
  return "suffix" in range ? range.suffix === 0 : range.length === 0;
}
