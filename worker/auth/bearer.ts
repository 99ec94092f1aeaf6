import { ReplicaError } from "../../shared/errors.ts";

/** Whatever stands behind the word: whoever chooses a token may use any character. */
const CREDENTIALS = /^Bearer +(.+)$/i;

/** The isolate's token, which never changes, and its digest: a request need not make it anew. */
let wanted: { readonly token: string; readonly digest: ArrayBuffer } | undefined;

/**
 * Lets a request pass that carries the Worker's token.
 *
 * @param authorization The request's `Authorization` header.
 * @param token `EDDY_TOKEN`; with none set nobody passes.
 * @throws {ReplicaError} `BAD_CONFIG`, `TOKEN_MISSING`, `TOKEN_INVALID`.
 */
export async function requireToken(
  authorization: string | null | undefined,
  token: string | undefined,
): Promise<void> {
  if (!token) {
    throw new ReplicaError(
      "BAD_CONFIG",
      "no token is set, so this Worker serves nobody: run `npx wrangler secret put EDDY_TOKEN` and " +
        "choose one, or in local development put EDDY_TOKEN=… into .dev.vars",
    );
  }
  if (!authorization) {
    throw new ReplicaError(
      "TOKEN_MISSING",
      "send the token in a header, `Authorization: Bearer …`; it is taken from nowhere else",
    );
  }
  const given = CREDENTIALS.exec(authorization.trim())?.[1];
  if (given === undefined) {
    throw new ReplicaError(
      "TOKEN_INVALID",
      "the Authorization header does not hold a bearer token: `Authorization: Bearer …`",
    );
  }
  // Digests are of one length, so the comparison says nothing about the token's.
  const found = await sha256(given);
  if (wanted?.token !== token) wanted = { token, digest: await sha256(token) };
  if (crypto.subtle.timingSafeEqual(wanted.digest, found)) return;
  throw new ReplicaError("TOKEN_INVALID", "this is not the token that the Worker was given");
}

function sha256(text: string): Promise<ArrayBuffer> {
  return crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
}
