import { watch } from "node:fs";
import { basename, dirname } from "node:path";

/** The net below the notifications: file systems and containers lose some. */
const POLL_MS = 1_000;

/**
 * Yields whenever the log may have changed, and at least once a second. It says nothing about what
 * changed: whoever listens looks for itself, and three in four first notifications come before the
 * commit frame is complete. What happens while the listener is busy yields once more afterwards.
 *
 * It watches the folder, never the file: a watch on a file that is deleted and made anew is silent for ever.
 */
export async function* watchWal(databasePath: string, signal: AbortSignal): AsyncGenerator<void> {
  const name = `${basename(databasePath)}-wal`;
  let isPending = true;
  let wake: (() => void) | undefined;
  const notify = () => {
    isPending = true;
    wake?.();
  };
  const watcher = watch(dirname(databasePath), (_event, changed) => {
    if (changed === null || changed === name) notify();
  });
  // A watch that fails (too many of them, the folder moved) leaves the poll.
  watcher.on("error", () => watcher.close());
  const timer = setInterval(notify, POLL_MS);
  signal.addEventListener("abort", notify, { once: true });
  try {
    while (!signal.aborted) {
      if (!isPending) await new Promise<void>((resolve) => (wake = resolve));
      if (signal.aborted) return;
      isPending = false;
      yield;
    }
  } finally {
    signal.removeEventListener("abort", notify);
    clearInterval(timer);
    watcher.close();
  }
}
