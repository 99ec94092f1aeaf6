import type { ReplicationEvent } from "../sync/events.ts";
import { megabytes } from "../terminal/progress.ts";

/** Tells an event to people, as a sentence where there is something for them in it. */
export function printEvent(
  event: ReplicationEvent,
  url: string,
  printNotice: (text: string) => void,
): void {
  switch (event.event) {
    case "started":
      if (event.switched_to_wal) printNotice(`${event.db} is in WAL mode now; it was not before`);
      return printNotice(
        `replicating ${event.db} to ${url}${event.txid === null ? "" : `, where TXID ${event.txid} is the newest`}`,
      );
    case "staged":
      if (event.image === null) return;
      return printNotice(
        `shipping the whole database as TXID ${event.txid}, ${megabytes(event.bytes)} MB: ${event.image}`,
      );
    case "compared":
      return printNotice(
        `compared ${event.pages} pages with what was shipped: ${event.differing === 0 ? "none differs" : `shipping only those that differ, ${event.differing}`} (${event.reason})`,
      );
    case "uploaded":
      return printNotice(
        `TXID ${event.txid} is in the store: ${event.bytes} bytes, ${event.ms} ms`,
      );
    case "store-unavailable":
      return printNotice(
        `the store does not take TXIDs: ${event.message}. ${event.waiting} wait in the staging directory; next try in ${event.retry_ms} ms`,
      );
    case "disk-full":
      return printNotice(
        `${event.message}; commits stay in the log, next try in ${event.retry_ms} ms`,
      );
    case "resumed":
      return printNotice(`there is room again, after ${Math.round(event.paused_ms / 1000)} s`);
    case "adopted":
      return printNotice(
        `${event.reason}: going on after ${event.txid === null ? "an empty replica" : `TXID ${event.txid}`}, the newest in the store`,
      );
    case "compaction-failed":
      return printNotice(`level ${event.level} could not be written: ${event.message}`);
    case "snapshot-written":
      return printNotice(`a snapshot of TXID ${event.txid} is in the store: ${event.bytes} bytes`);
    case "snapshot-failed":
      return printNotice(
        `no snapshot could be written: ${event.message}; next try in ${event.retry_ms} ms`,
      );
    case "retention-refused":
      return printNotice(
        `old files stay in the store, because it does not allow to delete them: ${event.message}`,
      );
    case "retention-failed":
      return printNotice(`old files could not be deleted: ${event.message}`);
    // Drawn on a terminal, and passed over elsewhere.
    case "progress":
    case "retention-checked":
    case "retention-deleted":
    case "compacted":
    case "checkpointed":
      return undefined;
    case "stopped":
      return printNotice(
        event.uploaded_txid === null
          ? "stopped; nothing is in the store"
          : `stopped; TXID ${event.uploaded_txid} is safely in the store`,
      );
  }
}
