/** A YAML file as its readers see it: every value knows its line, and every complaint names it. */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Document,
  type Pair,
} from "yaml";
import { ReplicaError } from "../../shared/errors.ts";
import { nearestWord } from "../../shared/nearest-word.ts";
import { parseDuration } from "./duration.ts";
import { type Expansion, markVariables } from "./expand-variables.ts";

/** What may be written in one mapping. */
export interface KeyTable {
  readonly known: readonly string[];
  /** Keys that are refused, each with why and what to write instead. */
  readonly refused?: Readonly<Record<string, string>>;
  /** Keys that may stand there and change nothing, each with why. */
  readonly ignored?: Readonly<Record<string, string>>;
}

interface Source {
  readonly name: string;
  readonly document: Document;
  readonly lines: LineCounter;
  readonly expansion: Expansion;
  readonly notices: string[];
}

/**
 * Parses a configuration file.
 *
 * @param name How messages call the file.
 * @param notices Gets what the file's author should know and nothing fails for.
 * @throws {ReplicaError} `BAD_CONFIG` when it is not YAML.
 */
export function parseYaml(
  text: string,
  options: {
    readonly name: string;
    readonly expansion: Expansion;
    readonly notices: string[];
  },
): YamlNode {
  const lines = new LineCounter();
  const marked = options.expansion.isOn ? markVariables(text) : text;
  const document = parseDocument(marked, { lineCounter: lines, prettyErrors: false, merge: true });
  const source: Source = { ...options, document, lines };
  const [error] = document.errors;
  if (error) {
    const { line } = lines.linePos(error.pos[0]);
    throw bad(options.name, line, `this is not YAML: ${error.message}`);
  }
  return new YamlNode(source, "the configuration", document.contents, 0);
}

/** One value of the file. An empty one is as good as none. */
export class YamlNode {
  /** The key it stands under. */
  readonly name: string;
  readonly #source: Source;
  readonly #node: unknown;
  readonly #offset: number;

  constructor(source: Source, name: string, node: unknown, offset: number) {
    this.#source = source;
    this.name = name;
    this.#node = isAlias(node) ? node.resolve(source.document) : node;
    this.#offset = offset;
  }

  /** From 1 on. */
  get line(): number {
    return this.#source.lines.linePos(this.#offset).line;
  }

  /** The error that `sentence` is about this value. */
  refuse(sentence: string): ReplicaError {
    return bad(this.#source.name, this.line, sentence);
  }

  /** Runs `read`, whose errors become errors about this value. */
  blame<Result>(read: () => Result): Result {
    try {
      return read();
    } catch (cause) {
      if (!(cause instanceof ReplicaError)) throw cause;
      throw this.refuse(cause.message);
    }
  }

  /** Says something about this value that is no error. */
  notice(sentence: string): void {
    this.#source.notices.push(`${this.#source.name}, line ${this.line}: ${sentence}`);
  }

  /** The text of a single value, variables expanded; undefined where there is none. */
  text(): string | undefined {
    if (this.#node === null || this.#node === undefined) return undefined;
    if (!isScalar(this.#node)) throw this.refuse(`${this.name} is to be a single value`);
    const { type, source, value } = this.#node;
    if (value === null) return undefined;
    // As it is written: what looks like a number in YAML need not be one to us.
    const written = type === "PLAIN" || typeof value !== "string" ? (source ?? "") : value;
    const text = this.#source.expansion.expand(written, (name) =>
      this.notice(`$${name} is not set in the environment and counts as empty`),
    );
    return text === "" ? undefined : text;
  }

  flag(): boolean | undefined {
    const text = this.text();
    if (text === undefined) return undefined;
    if (/^(true|yes|on)$/i.test(text)) return true;
    if (/^(false|no|off)$/i.test(text)) return false;
    throw this.refuse(`${this.name} is "${text}", but it can only be true or false`);
  }

  /** A duration in milliseconds, at least `minMs`. */
  durationMs(minMs = 0): number | undefined {
    const text = this.text();
    if (text === undefined) return undefined;
    const durationMs = this.blame(() => parseDuration(text, this.name));
    if (durationMs >= minMs && durationMs > 0) return durationMs;
    if (durationMs === 0 && minMs === 0) return 0;
    const least = minMs >= 1_000 ? `${minMs / 1_000} s at least` : "more than nothing";
    throw this.refuse(`${this.name} is ${text}, but it is to be ${least}`);
  }

  oneOf<Choice extends string>(choices: readonly Choice[]): Choice | undefined {
    const text = this.text()?.toLowerCase();
    if (text === undefined) return undefined;
    const choice = choices.find((choice) => choice === text);
    if (choice !== undefined) return choice;
    throw this.refuse(`${this.name} is "${text}", but it is to be ${choices.join(", ")}`);
  }

  /** The items of a list; none where there is no value. */
  items(): YamlNode[] {
    if (this.#node === null || this.#node === undefined || this.#isNothing()) return [];
    if (!isSeq(this.#node)) throw this.refuse(`${this.name} is to be a list`);
    return this.#node.items.map(
      (item) => new YamlNode(this.#source, this.name, item, startOf(item) ?? this.#offset),
    );
  }

  /**
   * The values of a mapping by key.
   *
   * @throws {ReplicaError} `BAD_CONFIG` for the first key that `keys` does not know.
   */
  fields(keys: KeyTable): Fields {
    const values = new Map<string, YamlNode>();
    if (this.#node === null || this.#node === undefined || this.#isNothing()) {
      return new Fields(this, values);
    }
    for (const [name, { key, value: node }] of this.#pairs(this.#node)) {
      const value = new YamlNode(this.#source, name, node, startOf(key) ?? this.#offset);
      if (accept(value, keys)) values.set(name, value);
    }
    return new Fields(this, values);
  }

  #isNothing(): boolean {
    return isScalar(this.#node) && this.text() === undefined;
  }

  /** Keys and values, with what `<<` merges in; what is written here wins. */
  #pairs(node: unknown): Map<string, Pair> {
    const map = isAlias(node) ? node.resolve(this.#source.document) : node;
    if (!isMap(map)) throw this.refuse(`${this.name} is to be a mapping of keys to values`);
    const merged = map.items.filter((pair) => keyOf(pair) === "<<");
    const written = map.items.filter((pair) => keyOf(pair) !== "<<");
    const inherited = merged.flatMap(({ value }) => {
      const sources: readonly unknown[] = isSeq(value) ? value.items.toReversed() : [value];
      return sources.flatMap((source) => [...this.#pairs(source)]);
    });
    return new Map([...inherited, ...written.map((pair): [string, Pair] => [keyOf(pair), pair])]);
  }
}

/** The values of one mapping. */
export class Fields {
  /** The mapping itself. */
  readonly node: YamlNode;
  readonly #values: ReadonlyMap<string, YamlNode>;

  constructor(node: YamlNode, values: ReadonlyMap<string, YamlNode>) {
    this.node = node;
    this.#values = values;
  }

  get(name: string): YamlNode | undefined {
    return this.#values.get(name);
  }

  text(name: string): string | undefined {
    return this.get(name)?.text();
  }

  flag(name: string): boolean | undefined {
    return this.get(name)?.flag();
  }

  durationMs(name: string, minMs?: number): number | undefined {
    return this.get(name)?.durationMs(minMs);
  }
}

/** Says whether the value is one to be read. */
function accept(value: YamlNode, { known, refused = {}, ignored = {} }: KeyTable): boolean {
  const { name } = value;
  if (known.includes(name)) return true;
  const refusal = refused[name];
  if (refusal !== undefined) throw value.refuse(`"${name}" is not supported: ${refusal}`);
  const reason = ignored[name];
  if (reason !== undefined) {
    value.notice(`"${name}" has no effect: ${reason}`);
    return false;
  }
  const nearest = nearestWord(name, [...known, ...Object.keys(ignored)]);
  const hint =
    nearest === undefined ? `known here are ${known.join(", ")}` : `is "${nearest}" meant?`;
  throw value.refuse(`"${name}" is not a key that is known here; ${hint}`);
}

function keyOf({ key }: Pair): string {
  return isScalar(key) ? String(key.source ?? key.value) : String(key);
}

function startOf(node: unknown): number | undefined {
  const range: unknown = typeof node === "object" && node !== null && "range" in node && node.range;
  return Array.isArray(range) && typeof range[0] === "number" ? range[0] : undefined;
}

function bad(name: string, line: number, sentence: string): ReplicaError {
  return new ReplicaError("BAD_CONFIG", `${name}, line ${line}: ${sentence}`);
}
