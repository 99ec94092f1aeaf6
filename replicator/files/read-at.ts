import { readSync } from "node:fs";

/** Reads what there is of `length` bytes at `offset` of an open file; fewer at its end. */
export function readAt(fd: number, offset: number, length: number): Uint8Array {
  // A buffer of its own: pages are kept, and the pool's slices are not aligned for words.
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const count = readSync(fd, bytes, done, length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}
