/**
 * The other side of `PassiveCheckpointer`: a connection in a thread of its own, so that a checkpoint of
 * many pages stops neither the reading of the log nor the uploads.
 */
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";

const { path, closed } = workerData as { readonly path: string; readonly closed: Int32Array };
const database = new DatabaseSync(path, { timeout: 0 });
database.exec("PRAGMA wal_autocheckpoint = 0");

parentPort?.on("message", (message: "checkpoint" | "close") => {
  if (message === "close") {
    database.close();
    Atomics.store(closed, 0, 1);
    Atomics.notify(closed, 0);
    parentPort?.close();
    return;
  }
  try {
    const row = database.prepare("PRAGMA wal_checkpoint(PASSIVE)").get();
    parentPort?.postMessage({
      log: Number(row?.["log"]),
      checkpointed: Number(row?.["checkpointed"]),
    });
  } catch (error) {
    parentPort?.postMessage({ error: (error as Error).message });
  }
});
