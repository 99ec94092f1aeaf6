import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, inject, it, vi } from "vitest";
import { requireToken } from "../../worker/auth/bearer.ts";
import type { Env } from "../../worker/env.ts";
import { call, callWith } from "../support/workerd/api.ts";
import { putReplica } from "../support/workerd/replica.ts";

beforeAll(async () => {
  await putReplica(env.BUCKET, "shop", inject("shop"));
});

describe("the token", () => {
  it.each<[string, Record<string, string>, string, string]>([
    ["is missing", { authorization: "" }, "token-missing", 'Bearer realm="eddy"'],
    [
      "is another",
      { authorization: "Bearer test-tokem" },
      "token-invalid",
      'Bearer realm="eddy", error="invalid_token"',
    ],
    [
      "is a part of it",
      { authorization: "Bearer test" },
      "token-invalid",
      'Bearer realm="eddy", error="invalid_token"',
    ],
    [
      "is of another scheme",
      { authorization: "Basic dGVzdA==" },
      "token-invalid",
      'Bearer realm="eddy", error="invalid_token"',
    ],
    [
      "is empty",
      { authorization: "Bearer " },
      "token-invalid",
      'Bearer realm="eddy", error="invalid_token"',
    ],
  ])("%s: 401, on every route below /v1", async (_name, headers, code, challenge) => {
    for (const path of [
      "/v1/dbs",
      "/v1/dbs/shop",
      "/v1/dbs/shop/query?sql=SELECT+1",
      "/v1/dbs/shop/snapshots/latest/shop.db",
      "/v1/nothing",
    ]) {
      const response = await call(path, { headers });
      expect(response.status).toBe(401);
      expect(response.headers.get("www-authenticate")).toBe(challenge);
      expect(await response.json()).toMatchObject({ code });
    }
  });

  it.each(["p@ss:word!", "two words", "abc$def", "a,b;c"])(
    "may be chosen freely: %s",
    async (token) => {
      await expect(requireToken(`Bearer ${token}`, token)).resolves.toBeUndefined();
      await expect(requireToken(`Bearer ${token}x`, token)).rejects.toMatchObject({
        code: "TOKEN_INVALID",
      });
    },
  );

  it("is not taken from the query string, a cookie or a path", async () => {
    for (const [path, headers] of [
      ["/v1/dbs?token=test-token", {}],
      ["/v1/dbs?access_token=test-token", {}],
      ["/v1/dbs", { cookie: "token=test-token" }],
    ] as const) {
      const response = await call(path, { headers: { authorization: "", ...headers } });
      expect(await response.json()).toMatchObject({ code: "token-missing" });
    }
  });

  it("may be written with any case of the scheme", async () => {
    const headers = { authorization: "bearer test-token" };
    expect((await call("/v1/dbs/shop", { headers })).status).toBe(200);
  });

  it.each([undefined, ""])(
    "serves nobody when it is not set (%j), and says how to set it",
    async (token) => {
      const log = vi.spyOn(console, "error").mockImplementation(() => {});
      const response = await callWith({ EDDY_TOKEN: token as string }, "/v1/dbs");
      log.mockRestore();
      expect(response.status).toBe(500);
      expect(await response.json()).toMatchObject({
        code: "bad-config",
        detail: expect.stringContaining("wrangler secret put EDDY_TOKEN"),
      });
    },
  );
});

describe("the configuration", () => {
  it.each<[string, Record<string, unknown>, string]>([
    ["DATABASES that is not JSON", { DATABASES: "app=x" }, "DATABASES is not JSON"],
    ["DATABASES that is a list", { DATABASES: "[]" }, "DATABASES is not valid"],
    [
      "a name in capitals",
      { DATABASES: '{"App":"x"}' },
      'DATABASES is not valid at "App": a database name is 1 to 63 of a-z',
    ],
    ["a reserved name", { DATABASES: '{"mcp":"x"}' }, "DATABASES is not valid"],
    [
      "a database without a path",
      { DATABASES: '{"app":"/"}' },
      'at "app": a database needs a path',
    ],
    ["a HEAD_TTL_MS that is no number", { HEAD_TTL_MS: "soon" }, "HEAD_TTL_MS is not valid"],
    ["a BLOCK_CACHE that is neither", { BLOCK_CACHE: "yes" }, "BLOCK_CACHE is not valid"],
    ["no bucket", { BUCKET: undefined }, "the Worker has no bucket"],
    ["half of a bucket elsewhere", { S3_ENDPOINT: "https://s3.test" }, "S3_BUCKET is needed too"],
  ])("with %s is answered by a sentence", async (_name, variables, detail) => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const response = await callWith(variables, "/v1/dbs");
    log.mockRestore();
    expect(await response.json()).toMatchObject({
      status: 500,
      code: "bad-config",
      detail: expect.stringContaining(detail),
    });
  });
});

describe("problems", () => {
  it.each<[string, string, RequestInit, number, string, string | null]>([
    ["an unknown route", "/v1/nothing", {}, 404, "not-found", null],
    ["an unknown page", "/admin", {}, 404, "not-found", null],
    ["Hrana's protobuf", "/db/shop/v3-protobuf", {}, 404, "not-found", null],
    ["a DELETE", "/v1/dbs/shop", { method: "DELETE" }, 405, "method-not-allowed", "GET, HEAD"],
    [
      "a PUT of a query",
      "/v1/dbs/shop/query",
      { method: "PUT", body: "x" },
      405,
      "method-not-allowed",
      "GET, HEAD, POST, QUERY",
    ],
    [
      "a POST to the file",
      "/v1/dbs/shop/snapshots/latest/x.db",
      { method: "POST" },
      405,
      "method-not-allowed",
      "GET, HEAD",
    ],
    [
      "a POST to the health",
      "/healthz",
      { method: "POST" },
      405,
      "method-not-allowed",
      "GET, HEAD",
    ],
  ])("%s", async (_name, path, init, status, code, allow) => {
    const response = await call(path, init);
    expect(response.headers.get("content-type")).toBe("application/problem+json");
    expect(response.headers.get("allow")).toBe(allow);
    expect(await response.json()).toMatchObject({ type: "about:blank", status, code });
  });

  it("tell nothing about an error that nobody expected, but to the log", async () => {
    const log = vi.spyOn(console, "error").mockImplementation(() => {});
    const REPLICA_ROOT = {
      replace() {
        throw new RangeError("secret");
      },
    } as unknown as string;
    const path = "/v1/dbs/shop/query?sql=SELECT+%27private%27";
    const response = await callWith({ REPLICA_ROOT }, path);
    const text = await response.text();
    expect(response.status).toBe(500);
    expect(text).not.toContain("secret");
    const line = String(log.mock.calls[0]?.[0]);
    log.mockRestore();
    const { instance } = JSON.parse(text) as { instance: string };
    expect(JSON.parse(line)).toMatchObject({ level: "error", instance });
    expect(line).toContain("secret");
    expect(line).not.toContain("private");
  });
});

/** What an answer to a page of https://app.test hangs on. */
async function varyOf(path: string, variables: Partial<Env>): Promise<string[]> {
  const headers = { origin: "https://app.test" };
  return (await callWith(variables, path, { headers })).headers.get("vary")?.split(", ") ?? [];
}

describe("CORS", () => {
  it("lets pages of all origins ask, without credentials of the browser's", async () => {
    const preflight = await call("/v1/dbs/shop/query", {
      method: "OPTIONS",
      headers: {
        authorization: "",
        origin: "https://app.test",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
      },
    });
    expect(preflight.status).toBe(204);
    const allowed = Object.fromEntries(preflight.headers);
    expect(allowed).toMatchObject({
      "access-control-allow-origin": "*",
      "access-control-max-age": "3600",
    });
    expect(allowed["access-control-allow-headers"]).toContain("authorization");
    expect(allowed["access-control-allow-methods"]).toContain("QUERY");
    expect(allowed).not.toHaveProperty("access-control-allow-credentials");
  });

  it("shows the headers of answers and of errors", async () => {
    for (const path of ["/v1/dbs/shop/query?sql=SELECT+1", "/v1/dbs/shop/query"]) {
      const { headers } = await call(path, { headers: { origin: "https://app.test" } });
      expect(headers.get("access-control-allow-origin")).toBe("*");
      expect(headers.get("access-control-expose-headers")).toContain("x-txid");
    }
  });

  it("keeps to CORS_ORIGINS where it is set", async () => {
    const variables = { CORS_ORIGINS: "https://app.test, https://other.test" };
    const from = async (origin: string) =>
      (await callWith(variables, "/v1/dbs", { headers: { origin } })).headers.get(
        "access-control-allow-origin",
      );
    expect(await from("https://other.test")).toBe("https://other.test");
    expect(await from("https://evil.test")).toBe(null);
  });

  it("tells caches that an answer hangs on its origin where not all are allowed", async () => {
    const variables = { CORS_ORIGINS: "https://app.test" };
    const [rows, refused] = ["/v1/dbs/shop/query?sql=SELECT+1", "/v1/dbs/shop/query"];
    expect(await varyOf(rows, variables)).toEqual(["Accept", "Origin"]);
    expect(await varyOf(refused, variables)).toEqual(["Origin"]);
    expect(await varyOf(rows, {})).toEqual(["Accept"]);
    // What the isolate has learnt of one variable holds for no other.
    const other = { CORS_ORIGINS: "https://other.test" };
    const headers = { origin: "https://app.test" };
    const response = await callWith(other, refused, { headers });
    expect(response.headers.get("access-control-allow-origin")).toBe(null);
  });
});

describe("the page", () => {
  it("is served without a token, and may run nothing but its own script", async () => {
    const response = await call("/", { headers: { authorization: "" } });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toContain("text/html");
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toMatch(
      /^default-src 'none'; script-src 'sha256-[^']+'; style-src 'sha256-[^']+'; connect-src 'self'/,
    );
    const html = await response.text();
    const script = /<script>([^]*)<\/script>/.exec(html)?.[1] ?? "";
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(script));
    expect(policy).toContain(btoa(String.fromCharCode(...new Uint8Array(digest))));
    // Nothing from elsewhere, no markup out of data, no inline handler.
    expect(html).not.toMatch(
      /(src|href)="(https?:)?\/\/|innerHTML|insertAdjacent|document\.write|\son\w+=/,
    );
  });
});

describe("GET /healthz", () => {
  it("lives whatever the configuration", async () => {
    const response = await callWith(
      { EDDY_TOKEN: undefined as never, DATABASES: "x" },
      "/healthz",
      { headers: { authorization: "" } },
    );
    expect(response.status).toBe(200);
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(await response.json()).toEqual({ status: "ok" });
  });
});
