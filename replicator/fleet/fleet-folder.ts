import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { isReplicaError } from "../../shared/errors.ts";
import type { DatabaseConfig, FolderConfig } from "../config/config.ts";
import { inodeOf, type FleetDatabase } from "./fleet-database.ts";
import { findDatabases } from "./find-databases.ts";
import { FolderWatch } from "./folder-watch.ts";
import { memberConfig } from "./member-config.ts";

export interface FleetFolderOptions {
  readonly config: FolderConfig;
  /** @throws {ReplicaError} `BAD_CONFIG` when the database is replicated already. */
  readonly add: (config: DatabaseConfig) => FleetDatabase;
  /** Stops a database whose file is gone, and forgets it. */
  readonly remove: (database: FleetDatabase) => Promise<void>;
  /** The files that this process has open. */
  readonly openInodes: () => ReadonlySet<string | undefined>;
  readonly onNotice: (text: string) => void;
}

/** The databases of one folder, as they come and go. */
export class FleetFolder {
  readonly #options: FleetFolderOptions;
  /** By path below the folder; undefined: not ours to replicate. */
  readonly #members = new Map<string, FleetDatabase | undefined>();
  /** What was left out, and said to be. */
  readonly #said = new Set<string>();
  #folders: readonly string[] = [];

  constructor(options: FleetFolderOptions) {
    this.#options = options;
  }

  /** Looks for databases that came and databases that went. */
  scan(): { readonly came: readonly FleetDatabase[]; readonly went: readonly FleetDatabase[] } {
    const { config, openInodes } = this.#options;
    const inodes = openInodes();
    const found = findDatabases(config, (file) => inodes.has(inodeOf(file)));
    this.#folders = found.folders;
    this.#sayWhatIsLeftOut(found.leftOut);
    const there = new Set(found.databases);
    const gone = [...this.#members].filter(([path]) => !there.has(path));
    for (const [path] of gone) this.#members.delete(path);
    const fresh = found.databases.filter((path) => !this.#members.has(path));
    return {
      went: gone.map(([, database]) => database).filter((database) => database !== undefined),
      came: fresh.map((path) => this.#add(path)).filter((database) => database !== undefined),
    };
  }

  /** Replicates what comes and stops what goes, until `signal` fires. */
  async watch(signal: AbortSignal): Promise<void> {
    if (!this.#options.config.watch) return;
    using watch = new FolderWatch((folder, name) => !this.#isMember(join(folder, name)));
    while (!signal.aborted) {
      // What comes between a look and the watch tells nobody, so it is looked once more.
      do await this.#update(signal);
      while (!signal.aborted && watch.follow(this.#watched()));
      await watch.wait(signal);
    }
  }

  /** Leaves a database alone from now on, whatever becomes of its file. */
  ignore(database: FleetDatabase): void {
    for (const [path, member] of this.#members) {
      if (member === database) this.#members.set(path, undefined);
    }
  }

  /** The folders in which something may come; one that is not there comes in the one above it. */
  #watched(): readonly string[] {
    if (this.#folders.length > 0) return this.#folders;
    let above = dirname(this.#options.config.folder);
    while (!existsSync(above)) above = dirname(above);
    return [above];
  }

  async #update(signal: AbortSignal): Promise<void> {
    const { onNotice, remove } = this.#options;
    const { came, went } = this.scan();
    for (const database of went) {
      onNotice(`${database.path} was removed: it is replicated no more, its replica stays`);
      await remove(database);
    }
    if (signal.aborted) return;
    for (const database of came) {
      onNotice(`${database.path} is new: it is replicated to ${database.replicaUrl}`);
      database.begin();
    }
    for (const database of this.#members.values()) {
      if (database?.hasVanished) database.begin();
    }
  }

  #add(path: string): FleetDatabase | undefined {
    const { config, add, onNotice } = this.#options;
    let database: FleetDatabase | undefined;
    try {
      database = add(memberConfig(config, path));
    } catch (error) {
      if (!isReplicaError(error, "BAD_CONFIG")) throw error;
      onNotice(`${join(config.folder, path)} is left alone: ${error.message}`);
    }
    this.#members.set(path, database);
    return database;
  }

  #sayWhatIsLeftOut(sentences: readonly string[]): void {
    for (const sentence of sentences) {
      if (this.#said.has(sentence)) continue;
      this.#said.add(sentence);
      this.#options.onNotice(`${sentence}: it is left alone`);
    }
  }

  #isMember(path: string): boolean {
    return [...this.#members.values()].some((database) => database?.path === path);
  }
}
