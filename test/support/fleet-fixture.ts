/** A fleet on a folder of its own, and everything that it says. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { readConfig } from "../../replicator/config/read-config.ts";
import { Fleet } from "../../replicator/fleet/fleet.ts";
import { restoreDatabase } from "../../replicator/restore/restore-database.ts";
import { openReplica } from "../../replicator/storage/open-store.ts";
import { contentOf } from "./database-equality.ts";

/** One thing that was said: an event's name, `notice` or `failure`. */
export interface Said {
  readonly what: string;
  /** Path below the folder; empty for notices. */
  readonly db: string;
  readonly text: string;
}

export class FleetFixture implements AsyncDisposable {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), "eddy-fleet-")));
  readonly said: Said[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  readonly #applications: DatabaseSync[] = [];
  #fleet: Fleet | undefined;
  #running: Promise<void> | undefined;
  #restores = 0;

  get fleet(): Fleet {
    if (!this.#fleet) throw new Error("the fleet is not made yet");
    return this.#fleet;
  }

  at(name: string): string {
    return join(this.folder, name);
  }

  /** An application's connection to a database of this folder, which is made when it is not there. */
  open(name: string): DatabaseSync {
    mkdirSync(dirname(this.at(name)), { recursive: true });
    const application = new DatabaseSync(this.at(name), { timeout: 5_000 });
    application.exec("PRAGMA journal_mode = wal; CREATE TABLE IF NOT EXISTS t (a)");
    this.#applications.push(application);
    return application;
  }

  /** A fleet by a configuration file's `dbs`, in which `AT` is this folder. */
  make(dbs: string, { retries = true, waitsForFiles = true } = {}): Fleet {
    const text = `dbs:\n${dbs.replaceAll("AT", this.folder)}`;
    const options = { name: "test.yml", env: {}, expandEnvironment: false };
    const say = (what: string, path: string, text: string) => {
      this.said.push({ what, db: path.slice(this.folder.length + 1), text });
      for (const listener of this.#listeners) listener();
    };
    this.#fleet = new Fleet({
      config: readConfig(text, options),
      env: {},
      retries: () => retries,
      waitsForFiles,
      onEvent: ({ path }, event) => say(event.event, path, JSON.stringify(event)),
      onNotice: (text) => say("notice", "", text),
      onFailure: ({ path }, error, retryMs) =>
        say(retryMs === undefined ? "final failure" : "failure", path, (error as Error).message),
    });
    return this.#fleet;
  }

  /** Begins to run the fleet; resolves when every database has been started or failed. */
  async run(dbs: string): Promise<void> {
    const fleet = this.make(dbs);
    const started = Promise.withResolvers<void>();
    this.#running = fleet.run(this.#stop.signal, () => started.resolve());
    this.#running.catch((error: unknown) => started.reject(error));
    await started.promise;
  }

  /** Waits until this was said, unless it was already. */
  async until(what: string, db: string, text = ""): Promise<void> {
    const isIt = (said: Said) => said.what === what && said.db === db && said.text.includes(text);
    while (!this.said.some(isIt)) {
      const next = Promise.withResolvers<void>();
      this.#listeners.add(next.resolve);
      await next.promise;
      this.#listeners.delete(next.resolve);
    }
  }

  /** Waits until all that is committed in a database is in its replica. */
  async sync(name: string): Promise<void> {
    const { signal } = new AbortController();
    await this.fleet.find(this.at(name))?.sync({ wait: true, signal });
  }

  /** What a restore from the folder `replica` of this folder brings back. */
  async restored(replica: string): Promise<ReturnType<typeof contentOf>> {
    const output = this.at(`restored-${++this.#restores}`);
    const url = `file://${this.at(replica)}`;
    const opened = openReplica(url, { env: {}, writing: false });
    const target = { kind: "latest" } as const;
    await restoreDatabase(opened, { output, target, integrityCheck: "quick", force: false });
    return contentOf(output);
  }

  /** Ends the fleet as a signal does; resolves when all of it has ended. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.#fleet?.close();
    for (const application of this.#applications) if (application.isOpen) application.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
