/** One element: what stands between its tags as text, and the elements in it. */
export interface XmlElement {
  readonly name: string;
  /** Character data directly inside, entities resolved; indentation between children is in it. */
  readonly text: string;
  readonly children: readonly XmlElement[];
}

/** Thrown for what is not well-formed, or uses what S3's answers never do. */
export class XmlError extends Error {
  override readonly name = "XmlError";
}

/** S3's answers nest four deep. */
const DEPTH_MAX = 16;

const NAMED_ENTITIES: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
};

/** One piece of markup, or the text up to the next. Attributes are not looked into. */
const TOKEN =
  /<\?[^>]*\?>|<!--[\s\S]*?-->|<!\[CDATA\[([\s\S]*?)\]\]>|<\/([^\s<>/]+)\s*>|<([^\s<>/!?]+)((?:\s+[^\s<>=/]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/y;

interface OpenElement {
  readonly name: string;
  readonly texts: string[];
  readonly children: XmlElement[];
}

/**
 * Reads one XML document as S3 services write them: elements, text, the five named entities and
 * numeric ones, CDATA. Document types are refused, so no entity can grow.
 *
 * @throws {XmlError} When `text` is not one well-formed element.
 */
export function parseXml(text: string): XmlElement {
  const document: OpenElement = { name: "", texts: [], children: [] };
  const open: OpenElement[] = [document];
  TOKEN.lastIndex = text.startsWith("\uFEFF") ? 1 : 0;
  // Bounded by the text: every match takes at least one character.
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw new XmlError(`not XML at character ${at}`);
    const [, cdata, closing, opening, , selfClosing, data] = match;
    const parent = open.at(-1)!;
    if (data !== undefined) parent.texts.push(resolveEntities(data));
    if (cdata !== undefined) parent.texts.push(cdata);
    if (closing !== undefined) close(open, closing);
    if (opening !== undefined) {
      if (open.length > DEPTH_MAX) throw new XmlError(`nested more than ${DEPTH_MAX} deep`);
      open.push({ name: opening, texts: [], children: [] });
      if (selfClosing === "/") close(open, opening);
    }
  }
  const root = document.children[0];
  if (open.length > 1) throw new XmlError(`<${open.at(-1)!.name}> is not closed`);
  if (root === undefined || document.children.length > 1) throw new XmlError("not one element");
  if (document.texts.join("").trim() !== "") throw new XmlError("text outside the element");
  return root;
}

/** Text of the first child called `name`; undefined when there is none. */
export function textOf(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text;
}

/** Escapes `text` to stand between two tags. */
export function escapeXml(text: string): string {
  return text.replace(/[&<>]/g, (c) => (c === "&" ? "&amp;" : c === "<" ? "&lt;" : "&gt;"));
}

function close(open: OpenElement[], name: string): void {
  const element = open.pop()!;
  const parent = open.at(-1);
  if (parent === undefined || element.name !== name) throw new XmlError(`stray </${name}>`);
  parent.children.push({ name, text: element.texts.join(""), children: element.children });
}

function resolveEntities(text: string): string {
  return text.replace(/&([^;&\s]*);?/g, (entity, name: string) => {
    const number = /^#(?:x([0-9a-fA-F]{1,6})|(\d{1,7}))$/.exec(name);
    if (number !== null) {
      const point = number[1] === undefined ? Number(number[2]) : Number.parseInt(number[1], 16);
      if (point <= 0x10ffff && entity.endsWith(";")) return String.fromCodePoint(point);
    }
    const character = NAMED_ENTITIES[name];
    if (character === undefined || !entity.endsWith(";")) {
      throw new XmlError(`unknown entity ${entity}`);
    }
    return character;
  });
}
