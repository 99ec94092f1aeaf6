/** A part of a file, both ends within it. */
export interface FileRange {
  readonly offset: number;
  readonly length: number;
}

const SINGLE = /^bytes *= *(\d*) *- *(\d*)$/i;

/**
 * Reads a `Range` header. Undefined where the whole file is the answer: there is none, or one of
 * several parts or of another unit, which RFC 9110 lets a server pass over.
 *
 * @returns `"unsatisfiable"` when the range lies outside of the file.
 */
export function parseRange(
  header: string | null,
  sizeBytes: number,
): FileRange | "unsatisfiable" | undefined {
  const [, first = "", last = ""] = SINGLE.exec(header?.trim() ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const length = Math.min(Number(last), sizeBytes);
    return length === 0 ? "unsatisfiable" : { offset: sizeBytes - length, length };
  }
  const offset = Number(first);
  const end = last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  if (last !== "" && Number(last) < offset) return undefined;
  if (offset >= sizeBytes) return "unsatisfiable";
  return { offset, length: end - offset };
}
