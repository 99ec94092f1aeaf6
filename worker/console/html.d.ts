/** Wrangler bundles `.html` as a string. */
declare module "*.html" {
  const text: string;
  // oxlint-disable-next-line import/no-default-export -- that is how a text module exports.
  export default text;
}
