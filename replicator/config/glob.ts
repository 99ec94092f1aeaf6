import { ReplicaError } from "../../shared/errors.ts";

/**
 * What a pattern matches, as Go's `filepath.Match` reads it: `*` and `?` do not cross a slash, `[a-z]` and
 * `[^a-z]` are one character, a backslash takes what follows as it is.
 *
 * @throws {ReplicaError} `BAD_CONFIG` for brackets without an end.
 */
export function globExpression(pattern: string): RegExp {
  const parts = pattern.match(/\[\^?(?:\\.|[^\\\]])+\]|\\.|[^]/gsu) ?? [];
  try {
    return new RegExp(`^${parts.map(expressionOf).join("")}$`, "su");
  } catch (cause) {
    const sentence = `the pattern "${pattern}" is not complete: a bracket or a range is wrong`;
    throw new ReplicaError("BAD_CONFIG", sentence, { cause });
  }
}

function expressionOf(part: string): string {
  if (part === "*") return "[^/]*";
  if (part === "?") return "[^/]";
  if (part === "[" || part === "\\") throw new SyntaxError(part);
  const isClass = part.length > 2 && part.startsWith("[");
  if (isClass) return part.replace(/\\(.)/gsu, (_, character: string) => escape(character));
  return escape(part.startsWith("\\") ? part.slice(1) : part);
}

function escape(character: string): string {
  return character.replace(/[\\^$.*+?()[\]{}|/-]/u, "\\$&");
}
