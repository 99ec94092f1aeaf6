import { type FSWatcher, watch } from "node:fs";
import { basename, dirname } from "node:path";
import { codeOf } from "../storage/durable-file.ts";

/** The net below the notifications: file systems and containers lose some. */
const POLL_MS = 1_000;

/**
 * Calls `onChange` whenever the log may have changed, and once a second. It says nothing about what
 * changed: whoever listens looks for itself, and three in four first notifications come before the
 * commit frame is complete.
 *
 * It watches the folder, never the file: a watch on a file that is deleted and made anew is silent for ever.
 */
export function watchWal(databasePath: string, onChange: () => void): Disposable {
  const watcher = watchFolder(dirname(databasePath), `${basename(databasePath)}-wal`, onChange);
  const timer = setInterval(onChange, POLL_MS);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      watcher?.close();
    },
  };
}

/** A watch that fails (too many of them on this system, the folder moved) leaves the poll. */
function watchFolder(folder: string, name: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, (_event, changed) => {
      if (changed === null || changed === name) onChange();
    });
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch (error) {
    // What the system does not grant from the start is thrown.
    if (codeOf(error) === undefined) throw error;
    return undefined;
  }
}
