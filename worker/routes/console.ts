import { Hono } from "hono";
import html from "../console/console.html";
import type { Env } from "../env.ts";
import { encodeBase64 } from "../http/base64.ts";

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
  const [script, style] = await Promise.all([digestOf("script"), digestOf("style")]);
  return [
    "default-src 'none'",
    `script-src '${script}'`,
    `style-src '${style}'`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

async function digestOf(tag: "script" | "style"): Promise<string> {
  const text = new RegExp(`<${tag}>([^]*?)</${tag}>`).exec(html)?.[1] ?? "";
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `sha256-${encodeBase64(new Uint8Array(digest))}`;
}
