import { watch } from "node:fs";
import { basename, dirname } from "node:path";

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
  const name = `${basename(databasePath)}-wal`;
  const watcher = watch(dirname(databasePath), (_event, changed) => {
    if (changed === null || changed === name) onChange();
  });
  // A watch that fails (too many of them, the folder moved) leaves the poll.
  watcher.on("error", () => watcher.close());
  const timer = setInterval(onChange, POLL_MS);
  return {
    [Symbol.dispose]() {
      clearInterval(timer);
      watcher.close();
    },
  };
}
