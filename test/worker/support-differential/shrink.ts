/** So many statements are tried at most. */
const TRIES_MAX = 300;

/** What SQL is made of: strings, words and numbers, and what stands between them. */
const TOKENS = /'(?:[^']|'')*'|[\w$.]+|\s+|[^\w\s]/gu;

/**
 * A shorter statement for which `fails` still holds: pieces are left out as long as it does, large ones
 * first.
 */
export async function shrink(
  sql: string,
  fails: (sql: string) => Promise<string | undefined>,
): Promise<string> {
  let tokens: readonly string[] = sql.match(TOKENS) ?? [];
  let tries = 0;
  for (let size = Math.ceil(tokens.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < tokens.length && tries < TRIES_MAX;) {
      const shorter = tokens.toSpliced(at, size);
      tries++;
      if ((await fails(shorter.join(""))) !== undefined) tokens = shorter;
      else at += size;
    }
  }
  return tokens.join("");
}
