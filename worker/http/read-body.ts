import { HTTPException } from "hono/http-exception";
import { ReplicaError } from "../../shared/errors.ts";

/** A statement of 100,000 bytes and its arguments, some of them blobs. In bytes. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

/**
 * The body of `request` as text.
 *
 * @throws {ReplicaError} `BAD_REQUEST` when it is not UTF-8.
 * @throws {HTTPException} 413 when it is too long; no more than the bound is ever held.
 */
export async function readBody(request: Request): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop cancels the stream.
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) {
      throw new HTTPException(413, { message: `the body is longer than ${BODY_BYTES_MAX} bytes` });
    }
    chunks.push(chunk);
  }
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
    const parts = chunks.map((chunk) => decoder.decode(chunk, { stream: true }));
    return parts.join("") + decoder.decode();
  } catch (cause) {
    throw new ReplicaError("BAD_REQUEST", "the body is not UTF-8", { cause });
  }
}
