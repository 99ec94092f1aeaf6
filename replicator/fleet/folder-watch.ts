import { watch, type FSWatcher } from "node:fs";
import { Wakeup } from "../sync/wakeup.ts";
import { isSidecar, isStaging } from "./find-databases.ts";

/** The net below the notifications: network file systems send none. */
const POLL_MS = 10_000;

/** Tells when files of some folders may have come or gone. */
export class FolderWatch implements Disposable {
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #wakeup = new Wakeup();
  /** Says of a file that was only written to whether that is news. */
  readonly #isNews: (folder: string, name: string) => boolean;

  constructor(isNews: (folder: string, name: string) => boolean) {
    this.#isNews = isNews;
  }

  /**
   * Watches these folders from now on, and no others.
   *
   * @returns Whether there are some that were not watched before: what is in them is to be looked at again.
   */
  follow(folders: readonly string[]): boolean {
    for (const [folder, watcher] of this.#watchers) {
      if (!folders.includes(folder)) this.#drop(folder, watcher);
    }
    const added = folders.filter((folder) => !this.#watchers.has(folder));
    for (const folder of added) this.#add(folder);
    return added.some((folder) => this.#watchers.has(folder));
  }

  /** Resolves when there may be something new, when `signal` fires, and now and then. */
  async wait(signal: AbortSignal): Promise<void> {
    await this.#wakeup.wait(signal, POLL_MS);
  }

  [Symbol.dispose](): void {
    for (const [folder, watcher] of this.#watchers) this.#drop(folder, watcher);
  }

  #add(folder: string): void {
    try {
      const watcher = watch(folder, (event, name) => {
        const isWritten = event === "change" && name !== null;
        if (name !== null && (isSidecar(name) || isStaging(name))) return;
        if (!isWritten || this.#isNews(folder, name)) this.#wakeup.notify();
      });
      // A watch that fails (too many of them, the folder removed) leaves the poll.
      watcher.on("error", () => this.#drop(folder, watcher));
      this.#watchers.set(folder, watcher);
    } catch {
      // The folder went away, or there are too many watches: the poll is left.
    }
  }

  #drop(folder: string, watcher: FSWatcher): void {
    watcher.close();
    this.#watchers.delete(folder);
  }
}
