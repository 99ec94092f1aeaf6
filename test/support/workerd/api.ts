/** The Worker's HTTP API, as the tests in workerd call it. */
import { createExecutionContext } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import type { Env } from "../../../worker/env.ts";
import worker from "../../../worker/index.ts";

const ORIGIN = "https://eddy.test";
const AUTHORIZATION = { authorization: "Bearer test-token" };

/** A request with the token, as a client would send it. */
export function call(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { ...AUTHORIZATION, ...(init.headers as Record<string, string> | undefined) };
  return exports.default.fetch(ORIGIN + path, { ...init, headers });
}

/** `GET /v1/dbs/<database>/query` with the parameters in the query string. */
export function query(
  database: string,
  parameters: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  return call(`/v1/dbs/${database}/query?${new URLSearchParams(parameters).toString()}`, {
    headers,
  });
}

/** `POST /v1/dbs/<database>/query`; the body goes as it is written, numbers with their spelling. */
export function post(
  database: string,
  body: string,
  contentType = "application/json",
): Promise<Response> {
  const headers = { "content-type": contentType };
  return call(`/v1/dbs/${database}/query`, { method: "POST", headers, body });
}

/** The same Worker in the same isolate with other variables or another bucket. */
export async function callWith(
  variables: Partial<Env>,
  path: string,
  init: RequestInit = {},
): Promise<Response> {
  const headers = { ...AUTHORIZATION, ...(init.headers as Record<string, string> | undefined) };
  const request = new Request(ORIGIN + path, { ...init, headers });
  return worker.fetch(request, { ...env, ...variables }, createExecutionContext());
}

/** A bucket, and what was asked of it since it was made. */
export interface CountedBucket {
  readonly bucket: R2Bucket;
  readonly counts: { lists: number; gets: number };
}

export function countBucket(inner: R2Bucket): CountedBucket {
  const counts = { lists: 0, gets: 0 };
  const bucket = new Proxy(inner, {
    get(target, name) {
      if (name === "list") counts.lists++;
      if (name === "get") counts.gets++;
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? (member.bind(target) as unknown) : member;
    },
  });
  return { bucket, counts };
}
