/**
 * A follower that dies by SIGKILL at one of its calls of the file system, in a process of its own.
 * Usage: `killed-follower.ts DATABASE REPLICA_URL CALL`; it ends by itself once it has taken up
 * everything, if it makes fewer calls than that.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

const [path = "", url = "", call = "0"] = process.argv.slice(2);
let left = Number.POSITIVE_INFINITY;

for (const name of [
  "openSync",
  "writeSync",
  "fsyncSync",
  "ftruncateSync",
  "renameSync",
  "unlinkSync",
] as const) {
  const real = fs[name] as (...args: unknown[]) => unknown;
  Object.assign(fs, {
    [name]: (...args: unknown[]) => {
      // Before the call: the one before it is the last that happened.
      if (--left === 0) process.kill(process.pid, "SIGKILL");
      return real(...args);
    },
  });
}
syncBuiltinESMExports();

const { followReplica } = await import("../../replicator/follow/follow-replica.ts");
const { openReplica } = await import("../../replicator/storage/open-store.ts");

const ended = new AbortController();
await followReplica({
  replica: openReplica(url, { env: {}, writing: false }),
  path,
  intervalMs: 1,
  signal: ended.signal,
  onEvent({ event }) {
    if (event === "following") left = Number(call);
    if (event === "applied") ended.abort();
  },
});
