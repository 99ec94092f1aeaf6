import type { Environment } from "../../shared/storage/store-url.ts";

/** `$NAME` and `${NAME}`, as Go's `os.Expand` finds them. */
const VARIABLE = /\$(?:\{(\w+)\}|(\w+))/g;
/** Stand around a variable's name while the YAML is parsed; nobody writes them. */
const [BEGIN, END] = ["\uE000", "\uE001"];
const MARKED = new RegExp(`${BEGIN}(\\w+)${END}`, "g");

/**
 * Puts marks in place of variables. The values go in once the YAML is parsed, so that a password with a
 * `#` or a `:` in it stays one value, and every line keeps its number.
 */
export function markVariables(text: string): string {
  return text.replace(
    VARIABLE,
    (_, braced?: string, bare?: string) => BEGIN + (braced ?? bare) + END,
  );
}

/** Puts values in place of marks. */
export class Expansion {
  readonly isOn: boolean;
  readonly #environment: Environment;

  /** @param environment `PID` is there whatever it holds; undefined: nothing is expanded. */
  constructor(environment: Environment | undefined) {
    this.isOn = environment !== undefined;
    this.#environment = { ...environment, PID: String(process.pid) };
  }

  expand(marked: string, onMissing: (name: string) => void): string {
    return marked.replace(MARKED, (_, name: string) => {
      const value = this.#environment[name];
      if (value === undefined) onMissing(name);
      return value ?? "";
    });
  }
}
