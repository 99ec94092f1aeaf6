import type { HttpFetch } from "../../shared/storage/http.ts";

const CONDITIONS = ["if-none-match", "if-match"];
const REFUSAL =
  "<Error><Code>NotImplemented</Code><Message>A header you provided implies functionality that is not implemented</Message></Error>";

/** A service that refuses every write on a condition, as Backblaze B2 does; what else it is asked for it does. */
export const unconditionalFetch: HttpFetch = async (url, init) =>
  ["PUT", "POST"].includes(init.method) && CONDITIONS.some((name) => name in init.headers)
    ? new Response(REFUSAL, { status: 501 })
    : await fetch(url, init);
