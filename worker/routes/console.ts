import { Hono } from "hono";
import page from "../console/page.html";
import script from "../console/script.html";
import style from "../console/style.html";
import type { Env } from "../env.ts";
import { encodeBase64 } from "../http/base64.ts";

const html = page
  .replace("<!-- style.html -->", () => style)
  .replace("<!-- script.html -->", () => script);

/** `GET /`: a page to run SQL from. It is static; what it asks for needs the token. */
export function consoleRoute(): Hono<{ Bindings: Env }> {
  const route = new Hono<{ Bindings: Env }>();
  let policy: string | undefined;
  route.get("/", async (context) => {
    policy ??= await contentSecurityPolicy();
    return context.html(html, 200, {
      "content-security-policy": policy,
      "cache-control": "no-cache",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
    });
  });
  return route;
}

/** Allows the page's own script and style by their digests, and calls to this Worker; nothing else. */
async function contentSecurityPolicy(): Promise<string> {
  const [scriptDigest, styleDigest] = await Promise.all([digestOf(script), digestOf(style)]);
  return [
    "default-src 'none'",
    `script-src '${scriptDigest}'`,
    `style-src '${styleDigest}'`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** The digest of what stands between the tags of one element. */
async function digestOf(element: string): Promise<string> {
  const text = /<(script|style)>([^]*)<\/\1>/.exec(element)?.[2] ?? "";
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `sha256-${encodeBase64(new Uint8Array(digest))}`;
}
