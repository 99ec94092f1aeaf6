/**
 * Lets Litestream's spelling pass: its flags have one dash (`-txid`, `-if-db-not-exists`), ours two.
 * A flag of one letter stays as it is, and so does a value, such as `-5m` after `--timestamp`.
 */
export function normalizeArguments(argv: readonly string[]): string[] {
  const end = argv.indexOf("--");
  return argv.map((argument, index) => {
    if (end !== -1 && index > end) return argument;
    return /^-[a-z][a-z-]+(=.*)?$/.test(argument) ? `-${argument}` : argument;
  });
}
