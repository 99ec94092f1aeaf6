import * as z from "zod";
import { ReplicaError } from "../shared/errors.ts";
import { DATABASE_NAME, RESERVED_NAMES } from "./replicas/database-name.ts";
import type { Env } from "./env.ts";
import { ENGINE_NAMES, type EngineName } from "./sqlite/engine-choice.ts";

/** What `Env` says, checked. */
export interface Config {
  /** Name → path in the bucket; undefined where databases are discovered. */
  readonly databases: ReadonlyMap<string, string> | undefined;
  /** Without slashes at its ends; empty for the whole bucket. */
  readonly replicaRoot: string;
  readonly headTtlMs: number;
  /** Parts of objects are kept in the data centre's cache, where the platform has one. */
  readonly hasBlockCache: boolean;
  readonly engine: EngineName;
}

const DEFAULT_HEAD_TTL_MS = 1_000;
const HEAD_TTL_MS_MAX = 3_600_000;

const name = z
  .string()
  .regex(
    DATABASE_NAME,
    "a database name is 1 to 63 of a-z, 0-9, '.', '_' and '-', with a letter or digit first",
  )
  .refine((text) => !RESERVED_NAMES.has(text), "this name is reserved");
const path = z
  .string()
  .transform(withoutOuterSlashes)
  .refine((text) => text !== "", "a database needs a path in the bucket");
const databases = z.record(name, path);
const headTtlMs = z.coerce.number().int().min(0).max(HEAD_TTL_MS_MAX);

const blockCache = z.enum(["on", "off"], { error: "it is on or off" });
const engine = z.enum(ENGINE_NAMES, { error: `it is one of ${ENGINE_NAMES.join(", ")}` });

/** Reads and checks once what an isolate is started with: its `Env` never changes. */
const checked = new WeakMap<Env, Config>();

/**
 * Checks the variables of the Worker.
 *
 * @throws {ReplicaError} `BAD_CONFIG`; the sentence names the variable.
 */
export function readConfig(env: Env): Config {
  const known = checked.get(env);
  if (known) return known;
  const config: Config = {
    databases: env.DATABASES === undefined ? undefined : parseDatabases(env.DATABASES),
    replicaRoot: withoutOuterSlashes(env.REPLICA_ROOT ?? ""),
    headTtlMs: check("HEAD_TTL_MS", headTtlMs, env.HEAD_TTL_MS ?? DEFAULT_HEAD_TTL_MS),
    hasBlockCache: check("BLOCK_CACHE", blockCache, env.BLOCK_CACHE ?? "off") === "on",
    engine: check("ENGINE", engine, env.ENGINE ?? "auto"),
  };
  checked.set(env, config);
  return config;
}

function parseDatabases(text: string): ReadonlyMap<string, string> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ReplicaError(
      "BAD_CONFIG",
      'the variable DATABASES is not JSON: it maps names to paths in the bucket, {"app":"prod/app.db"}',
      { cause },
    );
  }
  return new Map(Object.entries(check("DATABASES", databases, json)));
}

function check<T>(variable: string, schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const where = issue?.path ?? [];
  // What is wrong with a key stands in an issue of its own.
  const reason = issue?.code === "invalid_key" ? issue.issues[0] : issue;
  const message = reason?.message ?? "not valid";
  const field = where.length > 0 ? ` at "${where.join(".")}"` : "";
  throw new ReplicaError("BAD_CONFIG", `the variable ${variable} is not valid${field}: ${message}`);
}

function withoutOuterSlashes(text: string): string {
  return text.replace(/^\/+/, "").replace(/\/+$/, "");
}
