/** The process behind `Application`. Usage, by `fork` only: `application-process.ts DATABASE`. */
import { DatabaseSync } from "node:sqlite";
import type { ApplicationReply, ApplicationRequest } from "./application.ts";

const [path = ""] = process.argv.slice(2);
const database = new DatabaseSync(path, { timeout: 5_000 });
database.exec("PRAGMA wal_autocheckpoint = 0; PRAGMA synchronous = NORMAL");
let isWriting = false;
let commits = 0;

function writeOn(): void {
  if (!isWriting) return;
  const insert = database.prepare("INSERT INTO t (body) VALUES (randomblob(400))");
  const update = database.prepare("UPDATE t SET body = randomblob(300) WHERE id = ?");
  // A turn of the event loop now and then, so that it can be told to stop.
  for (let i = 0; i < 20; i++) {
    database.exec("BEGIN IMMEDIATE");
    const { lastInsertRowid } = insert.run();
    update.run(Number(lastInsertRowid) % 97);
    database.exec("COMMIT");
    commits++;
  }
  setImmediate(writeOn);
}

function reply(request: ApplicationRequest): ApplicationReply {
  if ("write" in request) {
    isWriting = request.write === "start";
    if (isWriting) writeOn();
    return { rows: [{ commits }] };
  }
  const statements = request.sql.split(";").filter((sql) => sql.trim() !== "");
  const last = statements.pop() ?? "SELECT 1";
  if (statements.length > 0) database.exec(statements.join(";"));
  return { rows: database.prepare(last).all() };
}

process.on("message", (request: ApplicationRequest) => {
  let answer: ApplicationReply;
  try {
    answer = reply(request);
  } catch (error) {
    answer = { error: (error as Error).message };
  }
  process.send?.(answer);
});
process.on("disconnect", () => {
  isWriting = false;
  database.close();
});
