import { HTTPException } from "hono/http-exception";
import { ReplicaError } from "../../shared/errors.ts";
import { joinChunks } from "../../shared/storage/bytes.ts";

/** A statement of 100,000 bytes and its arguments, some of them blobs. In bytes. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });

/**
 * The body of `request` as text.
 *
 * @throws {ReplicaError} `BAD_REQUEST` when it is not UTF-8.
 * @throws {HTTPException} 413 when it is too long; of what comes over HTTP no more than the bound is ever held.
 */
export async function readBody(request: Request): Promise<string> {
  const bytes = isKnownShort(request) ? await request.arrayBuffer() : await readChunks(request);
  if (bytes.byteLength > BODY_BYTES_MAX) throw tooLong();
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new ReplicaError("BAD_REQUEST", "the body is not UTF-8", { cause });
  }
}

/**
 * Over HTTP no more of a body is given out than was announced, so that it need not be counted. Another Worker that
 * calls through a service binding may announce less than it sends: it has the token, and all of its body is held.
 */
function isKnownShort({ headers }: Request): boolean {
  const announced = headers.get("content-length");
  return announced !== null && /^\d+$/.test(announced) && Number(announced) <= BODY_BYTES_MAX;
}

async function readChunks(request: Request): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop cancels the stream.
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > BODY_BYTES_MAX) throw tooLong();
    chunks.push(chunk);
  }
  return joinChunks(chunks);
}

function tooLong(): HTTPException {
  return new HTTPException(413, { message: `the body is longer than ${BODY_BYTES_MAX} bytes` });
}
