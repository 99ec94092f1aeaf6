/** A replicator to be killed. Usage, by `fork` only: `replicator-process.ts DATABASE URL`. */
import { openReplica } from "../../replicator/storage/open-store.ts";
import { Replication } from "../../replicator/sync/sync-loop.ts";

const [databasePath = "", url = ""] = process.argv.slice(2);
const replica = openReplica(url, { env: process.env, writing: true });
const replication = await Replication.start({
  databasePath,
  replica,
  levelIntervalsMs: [],
  onEvent: (event) => process.send?.(event),
});
await replication.run(new AbortController().signal);
