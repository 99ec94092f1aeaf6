/** What `:db` in a route may be. */
export const DATABASE_NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** Words of our own routes, which no database may be called. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set([
  "v1",
  "v2",
  "v3",
  "v3-protobuf",
  "at",
  "mcp",
]);

/** Stands in a discovered database's name for each slash of its path. */
const SLASH = "--";

/** Says whether `text` may be a database's name. */
export function isDatabaseName(text: string): boolean {
  return DATABASE_NAME.test(text) && !RESERVED_NAMES.has(text);
}

/**
 * The name under which the database at `path`, below the root, is discovered: `prod/app.db` is
 * `prod--app.db`. Undefined where no name leads back to the path; such a database can be served
 * only by a name in `DATABASES`.
 */
export function nameOfPath(path: string): string | undefined {
  const name = path.replaceAll("/", SLASH);
  return isDatabaseName(name) && pathOfName(name) === path ? name : undefined;
}

/** The path below the root of the database that is discovered as `name`. */
export function pathOfName(name: string): string {
  return name.replaceAll(SLASH, "/");
}
