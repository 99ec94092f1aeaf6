import { readSync } from "node:fs";

/** Reads what there is of `length` bytes at `offset` of an open file; fewer at its end. */
export function readAt(fd: number, offset: number, length: number): Uint8Array {
  // A buffer of its own: pages are kept, and the pool's slices are not aligned for words.
  return readInto(Buffer.allocUnsafeSlow(length), fd, offset);
}

/** Reads what there is at `offset` of an open file, as much as fits into `bytes`; answers that part of it. */
export function readInto(bytes: Uint8Array, fd: number, offset: number): Uint8Array {
  let done = 0;
  while (done < bytes.length) {
    const count = readSync(fd, bytes, done, bytes.length - done, offset + done);
    if (count === 0) break;
    done += count;
  }
  return bytes.subarray(0, done);
}
