import { ReplicaError } from "../../shared/errors.ts";

const JSON_TYPES = new Set(["*/*", "application/*", "application/json"]);

/**
 * Refuses what is not to be answered in JSON; other formats come later.
 *
 * @param format The parameter `format`, which wins over the header.
 * @throws {ReplicaError} `FORMAT`.
 */
export function requireJson(format: string | undefined, accept: string | null): void {
  if (format !== undefined) {
    if (format === "json") return;
    throw new ReplicaError("FORMAT", `format is json; ${JSON.stringify(format)} is not offered`);
  }
  if (accept === null || accept.trim() === "") return;
  const acceptable = accept.split(",").some((range) => {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
    const refused = parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
    return JSON_TYPES.has(type) && !refused;
  });
  if (acceptable) return;
  throw new ReplicaError(
    "FORMAT",
    `the answer is application/json, which Accept leaves out: ${accept}`,
  );
}
