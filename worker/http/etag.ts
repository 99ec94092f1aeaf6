/** Says whether a header such as `If-None-Match` lists `etag`, a strong one, in quotes. */
export function listsEtag(header: string | null, etag: string): boolean {
  if (header === null) return false;
  if (header.trim() === "*") return true;
  return header.split(",").some((item) => item.trim().replace(/^W\//, "") === etag);
}

/** As `listsEtag`, by strong comparison: what `If-Match` and `If-Range` ask for. */
export function listsEtagStrongly(header: string, etag: string): boolean {
  if (header.trim() === "*") return true;
  return header.split(",").some((item) => item.trim() === etag);
}
