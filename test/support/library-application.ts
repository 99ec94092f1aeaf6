/**
 * An application that uses the library. Usage: `library-application.ts DATABASE URL END`: it commits ten rows,
 * waits until they are uploaded, says so on stdout, commits one more, and then `leave`s by running out or
 * `stay`s until it is killed.
 */
import { DatabaseSync } from "node:sqlite";
import { replicate } from "eddy";

const [path = "", url = "", end = ""] = process.argv.slice(2);
const database = new DatabaseSync(path);
const replica = await replicate({ path, url });
for (let row = 1; row <= 10; row++) database.prepare("INSERT INTO t (a) VALUES (?)").run(row);
const { txid } = await replica.waitForUpload();
database.exec("INSERT INTO t (a) VALUES ('last')");
process.stdout.write(`uploaded ${txid}\n`);
if (end === "stay") setInterval(() => undefined, 60_000);
