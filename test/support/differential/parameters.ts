/** Literals as arguments: binding, and plans made anew for what is bound, must change no row. */
import type { TaggedValue } from "./protocol.ts";

/** Names in quotes, blobs and words stay as they are; strings and numbers are taken out. */
const LITERALS = /"[^"]*"|x'[0-9a-f]*'|[A-Za-z_]\w*|'(?:[^']|'')*'|\d+\.\d+|\d+/g;

export interface Parametrized {
  readonly sql: string;
  readonly args: readonly TaggedValue[];
}

/** The statement with a parameter in the place of each string and number. */
export function parametrize(sql: string): Parametrized {
  const args: TaggedValue[] = [];
  const text = sql.replaceAll(LITERALS, (token) => {
    const value = valueOf(token);
    if (value === undefined) return token;
    args.push(value);
    return "?";
  });
  return { sql: text, args };
}

function valueOf(token: string): TaggedValue | undefined {
  if (token.startsWith("'")) return ["text", token.slice(1, -1).replaceAll("''", "'")];
  if (/^\d+$/.test(token)) return ["integer", token];
  if (/^\d/.test(token)) return ["real", token];
  return undefined;
}

/** The statement that `parametrize` was given. */
export function inline({ sql, args }: Parametrized): string {
  const values = args.values();
  return sql.replaceAll("?", (mark) => {
    const next = values.next().value;
    if (next === undefined) return mark;
    const [type, text] = next;
    return type === "text" ? `'${text.replaceAll("'", "''")}'` : text;
  });
}
