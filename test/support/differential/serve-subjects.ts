/**
 * Global set-up of the tests in workerd: a server in Node that makes the differential test's subjects
 * when they are asked for. What vitest itself hands over goes to every test; this is megabytes.
 */
import { createServer, type IncomingMessage, type Server } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { DatabaseSync } from "node:sqlite";
import { json } from "node:stream/consumers";
import type { TestProject } from "vitest/node";
import type { DifferentialSettings } from "./protocol.ts";
import type { LiveSubject, SubjectId } from "./subject.ts";

declare module "vitest" {
  interface ProvidedContext {
    readonly differential: DifferentialSettings;
  }
}

/** What a run asks of each build by default: some fifteen seconds of one core. */
const QUERIES = 3_000;
const SEED = 20_261_126;
/** Subjects that are kept, for questions about one that failed. */
const SUBJECTS_MAX = 16;

const subjects = new Map<string, Promise<LiveSubject>>();

function subjectOf(id: SubjectId): Promise<LiveSubject> {
  const key = JSON.stringify([id.seed, id.index, id.queries]);
  const known = subjects.get(key);
  if (known !== undefined) return known;
  const made = import("./subject.ts").then(({ LiveSubject }) => LiveSubject.make(id));
  subjects.set(key, made);
  const [oldest] = subjects;
  if (subjects.size > SUBJECTS_MAX && oldest !== undefined) {
    subjects.delete(oldest[0]);
    void oldest[1].then((subject) => subject[Symbol.dispose]());
  }
  return made;
}

async function answer(request: IncomingMessage): Promise<unknown> {
  const body = (await json(request)) as SubjectId & { version?: number; sql?: string };
  const { seed, index, queries, version, sql } = body;
  const live = await subjectOf({ seed, index, queries });
  if (version === undefined || sql === undefined) return live.subject;
  return live.answer(version, sql);
}

function listen(): Server {
  return createServer((request, response) => {
    answer(request).then(
      (value) => response.end(JSON.stringify(value)),
      (error: unknown) => {
        response.statusCode = 500;
        response.end(String(error instanceof Error ? error.stack : error));
      },
    );
  });
}

function nativeVersion(): string {
  using database = new DatabaseSync(":memory:");
  return String(database.prepare("SELECT sqlite_version() AS v").get()?.["v"]);
}

/** Starts the server; what the test is about comes from the environment, as `npm run differential` sets it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = listen();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  project.provide("differential", {
    seed: Number(process.env["EDDY_DIFFERENTIAL_SEED"] ?? SEED),
    queries: Number(process.env["EDDY_DIFFERENTIAL_QUERIES"] ?? QUERIES),
    url: `http://127.0.0.1:${port}/`,
    nativeVersion: nativeVersion(),
  });
  return async () => {
    server.closeAllConnections();
    server.close();
    for (const subject of subjects.values()) (await subject)[Symbol.dispose]();
  };
}
