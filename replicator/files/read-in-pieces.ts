import { open } from "node:fs/promises";

const PIECE_BYTES = 1024 * 1024;

/** A file's bytes in order, through one buffer: a piece holds until the next is asked for. */
export async function* readInPieces(path: string): AsyncGenerator<Uint8Array, void, undefined> {
  const file = await open(path, "r");
  try {
    const buffer = new Uint8Array(PIECE_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, PIECE_BYTES);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}
