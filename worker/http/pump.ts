import { isReplicaError } from "../../shared/errors.ts";
import { logFailure } from "./log.ts";
import { toProblem } from "./problem.ts";

/**
 * Writes `chunks` into a response's body, at the pace of the client. What fails on the way breaks
 * the transfer off, which the client sees by its length.
 */
export async function pumpInto(
  chunks: AsyncIterable<Uint8Array>,
  body: WritableStream<Uint8Array>,
): Promise<void> {
  const writer = body.getWriter();
  // The client has left, or reads no further: the generator must not go on.
  let isGone = false;
  writer.closed.catch(() => {
    isGone = true;
  });
  try {
    for await (const chunk of chunks) await writer.write(chunk);
    await writer.close();
  } catch (error) {
    if (!isGone && !isReplicaError(error, "ABORTED")) {
      logFailure(toProblem(error, `urn:uuid:${crypto.randomUUID()}`), error);
    }
    await writer.abort(error).catch(() => {});
  }
}
