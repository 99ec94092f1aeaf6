/** Random expressions whose value does not depend on the plan that a version of SQLite makes. */
import type { Random } from "../../../tools/demo/random.ts";
import { dyadic, WORDS } from "./schema.ts";

/** `any` may be of every type, and of different types in different rows. */
export type Kind = "integer" | "real" | "text" | "blob" | "any";

export interface Column {
  readonly sql: string;
  readonly kind: Kind;
}

const PATTERNS = ["%a%", "A%", "_eta%", "%1", "%\\%%", "z_rich", "%ï%", "", "%", "w1%"] as const;
const GLOBS = ["*a*", "[A-Z]*", "?eta*", "*[0-9]", "Z*h", "[[]*", "*"] as const;

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** Makes expressions over the columns that are in reach. */
export class Expressions {
  readonly #random: Random;
  readonly #columns: readonly Column[];

  constructor(random: Random, columns: readonly Column[]) {
    this.#random = random;
    this.#columns = columns;
  }

  column(kind: Kind): string | undefined {
    const fitting = this.#columns.filter((column) => column.kind === kind);
    return fitting.length === 0 ? undefined : this.#random.pick(fitting).sql;
  }

  ofAnyKind(depth: number): string {
    return this.of(this.#random.pick(["integer", "real", "text", "text", "blob", "any"]), depth);
  }

  of(kind: Kind, depth: number): string {
    switch (kind) {
      case "integer":
        return this.#integer(depth);
      case "real":
        return this.#real(depth);
      case "text":
        return this.#text(depth);
      case "blob":
        return this.#blob(depth);
      default:
        return this.column("any") ?? this.#text(depth);
    }
  }

  #choose(depth: number, leaves: readonly (() => string)[], rest: readonly (() => string)[]) {
    return this.#random.pick(depth <= 0 ? leaves : [...leaves, ...rest, ...rest])();
  }

  #leaf(kind: Kind, literal: () => string): string {
    const column = this.#random.below(4) === 0 ? undefined : this.column(kind);
    return column ?? literal();
  }

  #integer(depth: number): string {
    const random = this.#random;
    const less = depth - 1;
    const integer = (): string => this.#integer(less);
    return this.#choose(
      depth,
      [() => this.#leaf("integer", () => String(random.below(60) - 20))],
      [
        () => `(${integer()} ${random.pick(["+", "-", "|", "&"])} ${integer()})`,
        () => `(${integer()} * ${random.below(7)})`,
        () => `(${integer()} ${random.pick(["%", "/"])} ${1 + random.below(9)})`,
        () => `(${integer()} << ${random.below(8)})`,
        () => `length(${this.of(random.pick(["text", "blob"]), less)})`,
        () => `instr(${this.#text(less)}, ${quote(random.pick(["a", "h", "ü", "w1"]))})`,
        () => `unicode(${this.#text(less)})`,
        () => `CAST(${this.#real(less)} AS INTEGER)`,
        () => `(CASE WHEN ${this.condition(less)} THEN ${integer()} ELSE ${integer()} END)`,
        () => `coalesce(${integer()}, ${random.below(9)})`,
        () => `(${this.condition(less)})`,
        () => `sign(${this.#real(less)})`,
        () => `nullif(${integer()}, ${random.below(5)})`,
      ],
    );
  }

  #real(depth: number): string {
    const random = this.#random;
    const less = depth - 1;
    return this.#choose(
      depth,
      [() => this.#leaf("real", () => dyadic(random))],
      [
        () => `(${this.#real(less)} + ${this.#real(less)})`,
        () => `(${this.#integer(less)} / ${random.pick(["2.0", "4.0", "-8.0"])})`,
        () => `abs(${this.#real(less)})`,
        () => `${random.pick(["floor", "ceil", "trunc"])}(${this.#real(less)})`,
        () => `iif(${this.condition(less)}, ${this.#real(less)}, NULL)`,
        () => `CAST(${this.#integer(less)} AS REAL)`,
      ],
    );
  }

  #text(depth: number): string {
    const random = this.#random;
    const less = depth - 1;
    const text = (): string => this.#text(less);
    return this.#choose(
      depth,
      [() => this.#leaf("text", () => quote(random.pick(WORDS)))],
      [
        () => `${random.pick(["lower", "upper", "trim", "hex"])}(${text()})`,
        () => `substr(${text()}, ${random.below(5) - 2}, ${1 + random.below(4)})`,
        () => `replace(${text()}, ${quote(random.pick(["a", "e", "1"]))}, ${text()})`,
        () => `(${text()} || ${text()})`,
        () => `typeof(${this.ofAnyKind(less)})`,
        () => `quote(${this.of(random.pick(["integer", "text", "blob", "any"]), less)})`,
        () =>
          `printf('%5d|%-6s|%.2f|%x', ${this.#integer(0)}, ${text()}, ${this.#real(0)}, ${random.below(999)})`,
        () =>
          `printf('%q %08.3f %+d %c', ${text()}, ${this.#real(0)}, ${this.#integer(0)}, ${text()})`,
        () => `json_quote(${this.of(random.pick(["integer", "text"]), less)})`,
        () => `hex(${this.#blob(less)})`,
        () => `concat_ws('-', ${text()}, ${this.#integer(less)}, ${text()})`,
        () => `CAST(${this.#integer(less)} AS TEXT)`,
        () => `char(${65 + random.below(60)}, ${8_000 + random.below(999)})`,
      ],
    );
  }

  #blob(depth: number): string {
    const random = this.#random;
    const less = depth - 1;
    return this.#choose(
      depth,
      [() => this.#leaf("blob", () => random.pick(["x''", "x'00ff'", "x'616263'", "zeroblob(3)"]))],
      [
        () => `CAST(${this.#text(less)} AS BLOB)`,
        () => `substr(${this.#blob(less)}, ${1 + random.below(4)}, ${random.below(9)})`,
        () => `coalesce(${this.#blob(less)}, x'')`,
      ],
    );
  }

  condition(depth: number): string {
    const random = this.#random;
    const less = depth - 1;
    const kind = random.pick(["integer", "integer", "real", "text", "text", "blob"] as const);
    const value = (): string => this.of(kind, less);
    const compare = (): string =>
      `${value()} ${random.pick(["=", "<>", "<", "<=", ">", ">=", "IS", "IS NOT", "IS DISTINCT FROM"])} ${value()}`;
    return this.#choose(
      depth,
      [compare, () => `${value()} IS ${random.pick(["", "NOT "])}NULL`],
      [
        () => `(${this.condition(less)} ${random.pick(["AND", "OR"])} ${this.condition(less)})`,
        () => `NOT (${this.condition(less)})`,
        () => `${value()} ${random.pick(["", "NOT "])}BETWEEN ${value()} AND ${value()}`,
        () => `${value()} ${random.pick(["", "NOT "])}IN (${value()}, ${value()}, ${value()})`,
        () =>
          `${this.#text(less)} ${random.pick(["", "NOT "])}LIKE ${quote(random.pick(PATTERNS))}`,
        () => `${this.#text(less)} LIKE ${quote(random.pick(PATTERNS))} ESCAPE '\\'`,
        () => `${this.#text(less)} GLOB ${quote(random.pick(GLOBS))}`,
        () =>
          `${this.#text(less)} ${random.pick(["=", "<"])} ${this.#text(less)} COLLATE ${random.pick(["NOCASE", "BINARY", "RTRIM"])}`,
        () =>
          `(${this.#integer(0)}, ${this.#text(0)}) ${random.pick(["=", "<", ">="])} (${this.#integer(0)}, ${this.#text(0)})`,
      ],
    );
  }
}
