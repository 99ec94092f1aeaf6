import { ReplicaError } from "../../shared/errors.ts";
import { formatTxid } from "../../shared/ltx/txid.ts";
import { PageReader, type PageReaderOptions } from "../../shared/replica/page-reader.ts";
import type { QueryParameters } from "../http/query-parameters.ts";
import { QUERY_LIMITS } from "../limits.ts";
import type { Library } from "../replicas/library.ts";
import type { BegunVersion, Version } from "../replicas/open-version.ts";
import type { Service } from "../service.ts";
import { engineChoice } from "../sqlite/engine-choice.ts";
import { runQuery, type QueryResult } from "../sqlite/run-query.ts";
import { MeteredSource, sourceKeyOf } from "./metered-source.ts";
import { reopenForQuery } from "./reopen-for-query.ts";

/** What a query is run with. */
export interface RunOptions {
  readonly service: Service;
  readonly parameters: QueryParameters;
  readonly signal: AbortSignal;
}

/** A query's rows, and where they came from. */
export interface Run {
  readonly version: Version;
  readonly source: MeteredSource;
  readonly result: QueryResult;
  /** Every page of it was held against a checksum. */
  readonly verified: boolean;
}

/**
 * Runs the statement at the version that a request has begun with, while the version that it has to
 * answer from is found out. Where that is another one, what was run is given up and run there: most of
 * its pages are at hand by then.
 */
export async function runBegun(
  options: RunOptions,
  { version, settled }: BegunVersion,
): Promise<Run> {
  if (!settled) return run(options, version);
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  const running = Promise.allSettled([run({ ...options, signal }, version)]);
  let newest: Version;
  try {
    newest = await settled;
  } catch (error) {
    stop.abort();
    await running;
    throw error;
  }
  const isSame = newest.identity === version.identity;
  if (!isSame) stop.abort();
  const [outcome] = await running;
  if (!isSame) return run(options, newest);
  if (outcome.status === "rejected") throw outcome.reason;
  return { ...outcome.value, version: newest };
}

/** Runs the statement; where it fails, the error says at which transaction. */
async function run({ service, parameters, signal }: RunOptions, version: Version): Promise<Run> {
  const { config, library, replica } = service;
  const { snapshot, identity } = version;
  const reader = new PageReader(snapshot, { cache: library.pages, ...reopening(library, version) });
  const sourceKey = sourceKeyOf({ replica, snapshot, identity });
  const wasVerified = !library.isUnverified(sourceKey);
  const source = new MeteredSource(reader, () => library.markUnverified(sourceKey));
  try {
    const request = {
      source,
      sourceKey,
      sql: parameters.sql,
      args: parameters.args,
      limits: { ...QUERY_LIMITS, rowsMax: parameters.rowsMax },
      signal,
    };
    const result = await engineChoice(config.engine).on(replica.path, request, runQuery);
    const verified = wasVerified && !library.isUnverified(sourceKey);
    return { version, source, result, verified };
  } catch (cause) {
    if (!(cause instanceof ReplicaError)) throw cause;
    const details = { txid: formatTxid(snapshot.txid), ...cause.details };
    throw new ReplicaError(cause.code, cause.message, { cause, details });
  } finally {
    reader.close();
    if (reader.snapshot !== snapshot) await library.keep(replica, reader.snapshot);
  }
}

/**
 * The newest version is not opened again at its TXID when some of its files have gone: the caller looks
 * at the replica anew, with its bundle, and begins again.
 */
function reopening(
  library: Library,
  { kind, snapshot }: Version,
): Pick<PageReaderOptions, "reopen"> {
  if (kind !== "latest") {
    return { reopen: (gone, look) => reopenForQuery(library, gone, look) };
  }
  const txid = formatTxid(snapshot.txid);
  return {
    reopen: () =>
      Promise.reject(
        new ReplicaError(
          "OBJECT_MISSING",
          `files that led to TXID ${txid} have gone while they were read: ask again`,
        ),
      ),
  };
}
