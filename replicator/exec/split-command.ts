import { ReplicaError } from "../../shared/errors.ts";

/**
 * Takes a command line apart as a shell does that knows quotes and backslashes and nothing else: no
 * variables, no pipes.
 *
 * @throws {ReplicaError} `BAD_CONFIG` for nothing, and for a quote without an end.
 */
export function splitCommand(command: string): readonly [string, ...string[]] {
  const words: string[] = [];
  const rest = command.replace(
    /\s*((?:'[^']*'|"(?:\\[^]|[^"\\])*"|\\[^]|[^\s'"\\])+)/gu,
    (_, word) => {
      words.push(unquote(String(word)));
      return "";
    },
  );
  const [file, ...parameters] = words;
  if (file !== undefined && rest.trim() === "") return [file, ...parameters];
  const why = file === undefined && rest.trim() === "" ? "is empty" : "has a quote without an end";
  throw new ReplicaError("BAD_CONFIG", `the command to execute ${why}: ${command}`);
}

function unquote(word: string): string {
  return word.replace(
    /'([^']*)'|"((?:\\[^]|[^"\\])*)"|\\([^])/gu,
    (_, single?: string, double?: string, escaped?: string) =>
      single ?? double?.replace(/\\(["\\$`])/g, "$1") ?? escaped ?? "",
  );
}
