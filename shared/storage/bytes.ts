/** What `put` takes. */
export type PutBody = Uint8Array | AsyncIterable<Uint8Array>;

/** Joins chunks; a single chunk comes back as it is. */
export function joinChunks(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0];
  const joined = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let offset = 0;
  for (const chunk of chunks) {
    joined.set(chunk, offset);
    offset += chunk.length;
  }
  return joined;
}

/** All bytes of `body`, in memory. */
export async function collectBytes(body: PutBody): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body;
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return joinChunks(chunks);
}

/**
 * Cuts `body` anew into parts that are full but for the last, as multipart uploads demand.
 *
 * @param partBytes Size of the part with this 0-based index; asked for when the part begins.
 * @yields Parts of a buffer of their own or views of `body`; none for an empty body.
 */
export async function* cutParts(
  body: PutBody,
  partBytes: (index: number) => number,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (body instanceof Uint8Array) {
    let index = 0;
    for (let offset = 0; offset < body.length; index++) {
      const end = Math.min(offset + partBytes(index), body.length);
      yield body.subarray(offset, end);
      offset = end;
    }
    return;
  }
  let index = 0;
  let part = new Uint8Array(0);
  let filled = 0;
  for await (const chunk of body) {
    let rest = chunk;
    while (rest.length > 0) {
      if (filled === part.length) {
        if (filled > 0) yield part;
        part = new Uint8Array(partBytes(index++));
        filled = 0;
      }
      const taken = Math.min(rest.length, part.length - filled);
      part.set(rest.subarray(0, taken), filled);
      filled += taken;
      rest = rest.subarray(taken);
    }
  }
  if (filled > 0) yield part.subarray(0, filled);
}
