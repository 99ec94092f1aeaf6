/**
 * An application as a process of its own: its locks and its end are those of another process. It runs
 * the SQL that it is told to, and knows nothing of the replicator.
 */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("./application-process.ts", import.meta.url));

/** What the process is asked for. */
export type ApplicationRequest =
  | { readonly sql: string }
  /** Commits one small transaction after the other until it is told to stop. */
  | { readonly write: "start" | "stop" };

export type ApplicationReply =
  | { readonly rows: readonly Readonly<Record<string, unknown>>[] }
  | { readonly error: string };

type Row = Readonly<Record<string, unknown>>;

export class Application implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts a process that has the database open. */
  static async open(path: string): Promise<Application> {
    const application = new Application(fork(PROGRAM, [path]));
    await application.run("SELECT 1");
    return application;
  }

  /** Runs one or more statements; answers the rows of the last. */
  async run(sql: string): Promise<readonly Row[]> {
    return await this.#ask({ sql });
  }

  /** Writes without a pause from now on. */
  async startWriting(): Promise<void> {
    await this.#ask({ write: "start" });
  }

  /** Answers how many transactions it has committed. */
  async stopWriting(): Promise<number> {
    const [row] = await this.#ask({ write: "stop" });
    return Number(row?.["commits"]);
  }

  /** Closes the database as the last to do so does: checkpointed, the log deleted. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    await ended;
  }

  /** Ends it without a chance to do anything. */
  async kill(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGKILL");
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #ask(request: ApplicationRequest): Promise<readonly Row[]> {
    const replied = once(this.#child, "message") as Promise<[ApplicationReply]>;
    this.#child.send(request);
    const [reply] = await replied;
    if ("error" in reply) throw new Error(reply.error);
    return reply.rows;
  }
}
