import { throwIfAborted } from "../errors.ts";

/** What `put` takes. A chunk need not hold any longer when the next is asked for. */
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

/** All bytes of `body`, in memory; throws `ABORTED` between two chunks when `signal` has fired. */
export async function collectBytes(
  body: PutBody,
  signal: AbortSignal | undefined,
): Promise<Uint8Array> {
  if (body instanceof Uint8Array) return body;
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) {
    throwIfAborted(signal);
    // A chunk is its giver's again as soon as the next is asked for.
    chunks.push(chunk.slice());
  }
  return joinChunks(chunks);
}

/**
 * Cuts `body` anew into parts of `partBytes`, the last one perhaps smaller, as multipart uploads
 * demand.
 *
 * @param spare Buffers of `partBytes` that nobody uses any more: taken before new ones are made.
 * @yields Parts with a buffer of their own or views of `body`; none for an empty body.
 * @throws {ReplicaError} `ABORTED` between two chunks when `signal` has fired.
 */
export async function* cutParts(
  body: PutBody,
  partBytes: number,
  signal: AbortSignal | undefined,
  spare: Uint8Array[] = [],
): AsyncGenerator<Uint8Array, void, undefined> {
  if (body instanceof Uint8Array) {
    for (let offset = 0; offset < body.length; offset += partBytes) {
      yield body.subarray(offset, offset + partBytes);
    }
    return;
  }
  let part: Uint8Array | undefined;
  let filled = 0;
  for await (const chunk of body) {
    throwIfAborted(signal);
    for (let offset = 0; offset < chunk.length;) {
      part ??= spare.pop() ?? new Uint8Array(partBytes);
      const taken = chunk.subarray(offset, offset + partBytes - filled);
      part.set(taken, filled);
      filled += taken.length;
      offset += taken.length;
      if (filled < partBytes) continue;
      yield part;
      part = undefined;
      filled = 0;
    }
  }
  if (part) yield part.subarray(0, filled);
}
