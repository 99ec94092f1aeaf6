import { rmSync } from "node:fs";
import { isReplicaError, throwIfAborted } from "../../shared/errors.ts";
import type { Txid } from "../../shared/ltx/txid.ts";
import { inParallel } from "../../shared/replica/in-parallel.ts";
import { PassingFailure, sleepWithTimer, withRetries } from "../../shared/storage/retry.ts";
import { checkIntegrity, type IntegrityCheck } from "../restore/check-integrity.ts";
import {
  makeFolderOf,
  refuseExisting,
  SIDECARS,
  type RestoreProgress,
} from "../restore/restore-database.ts";
import { describeLink, readRange, type LinkedFile } from "./link-source.ts";
import { PartialFile } from "./partial-file.ts";

/** A Worker has six connections to its bucket: more ranges at a time would wait for each other. */
const PARALLELISM_DEFAULT = 4;
/** What a range brought is kept when a run is interrupted, and is fetched in one request. */
const RANGE_BYTES_DEFAULT = 16 * 1024 * 1024;
const ATTEMPTS_MAX = 6;
/** So often the file behind a link may become another one while it is downloaded. */
const FILES_MAX = 3;

export interface DownloadOptions {
  readonly url: URL;
  /** Sent as bearer token. */
  readonly token?: string | undefined;
  readonly output: string;
  readonly integrityCheck: IntegrityCheck;
  /** Replace a file that is there already. */
  readonly force: boolean;
  /** Most requests at a time. */
  readonly parallelism?: number | undefined;
  readonly rangeBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined;
}

export interface DownloadResult {
  readonly txid: Txid | undefined;
  readonly timestampMs: number | undefined;
  readonly exact: boolean;
  readonly sizeBytes: number;
  /** Bytes that an earlier run had brought already. */
  readonly resumedBytes: number;
  /** Tables that SQLite could not check: see `checkIntegrity`. */
  readonly unchecked: readonly string[];
}

/**
 * Downloads the database file behind a link, in ranges side by side. A connection that breaks is taken
 * up where it broke; a run that is interrupted leaves `<output>.part` for the next one. The output
 * appears only when it is complete and has passed its check.
 *
 * @throws {ReplicaError} What `describeLink` throws, `OUTPUT_EXISTS`, `R2_ERROR` after attempts in vain,
 *   `CORRUPT_PAGE`, `LOCAL_FILE`, `ABORTED`.
 */
export async function downloadDatabase(options: DownloadOptions): Promise<DownloadResult> {
  const { output, signal } = options;
  if (!options.force) refuseExisting(output);
  await makeFolderOf(output);
  for (let files = 1; ; files++) {
    const file = await retry(signal, () => describeLink(options.url, linkOptions(options)));
    try {
      return await downloadFile(file, options);
    } catch (error) {
      // It became another file meanwhile, which counts from its first byte.
      if (!isReplicaError(error, "PRECONDITION") || files === FILES_MAX) throw error;
    }
  }
}

async function downloadFile(file: LinkedFile, options: DownloadOptions): Promise<DownloadResult> {
  const { output, signal, rangeBytes = RANGE_BYTES_DEFAULT, integrityCheck } = options;
  const partial = PartialFile.open(output, file, rangeBytes);
  const resumedBytes = sum(partial.doneBytes);
  let unchecked: readonly string[];
  try {
    await fetchRanges(file, partial, options);
    unchecked = check(partial, integrityCheck);
    throwIfAborted(signal);
    // Once more: an application may have made its database meanwhile.
    if (!options.force) refuseExisting(output);
    // SQLite would replay a log that belongs to the file which was here before.
    for (const suffix of SIDECARS) rmSync(output + suffix, { force: true });
    partial.publish(output);
  } finally {
    partial.close();
  }
  const { txid, timestampMs, exact, sizeBytes } = file;
  return { txid, timestampMs, exact, sizeBytes, resumedBytes, unchecked };
}

async function fetchRanges(
  file: LinkedFile,
  partial: PartialFile,
  options: DownloadOptions,
): Promise<void> {
  const { signal, onProgress, parallelism = PARALLELISM_DEFAULT } = options;
  const totalBytes = file.sizeBytes;
  const isMissing = (index: number) =>
    (partial.doneBytes[index] ?? 0) < partial.rangeAt(index).length;
  const missing = [...partial.doneBytes.keys()].filter(isMissing);
  onProgress?.({ doneBytes: sum(partial.doneBytes), totalBytes });
  const pass = async (index: number) => {
    const { offset, length } = partial.rangeAt(index);
    const done = partial.doneBytes[index] ?? 0;
    const rest = { offset: offset + done, length: length - done };
    for await (const chunk of readRange(file, rest, linkOptions(options))) {
      throwIfAborted(signal);
      partial.append(index, chunk);
      onProgress?.({ doneBytes: sum(partial.doneBytes), totalBytes });
    }
  };
  try {
    await inParallel(missing, parallelism, async (index) => {
      await retry(signal, () => passOnward(partial, index, pass));
      partial.save();
    });
  } catch (error) {
    // What has arrived is of use to the next run, unless it is another file by then.
    partial.save();
    throw error;
  }
}

/** A connection that brought something before it broke is no attempt in vain. */
async function passOnward(
  partial: PartialFile,
  index: number,
  pass: (index: number) => Promise<void>,
): Promise<void> {
  // Bounded by the range: every pass adds to it.
  for (;;) {
    const before = partial.doneBytes[index];
    try {
      return await pass(index);
    } catch (error) {
      const isOnward = partial.doneBytes[index] !== before;
      if (!(error instanceof PassingFailure) || !isOnward) throw error;
    }
  }
}

/** A file that fails its check is of no use to a later run either. */
function check(partial: PartialFile, integrityCheck: IntegrityCheck): readonly string[] {
  try {
    return checkIntegrity(partial.path, integrityCheck);
  } catch (error) {
    partial.discard();
    throw error;
  }
}

function retry<Result>(
  signal: AbortSignal | undefined,
  attempt: () => Promise<Result>,
): Promise<Result> {
  const policy = { attemptsMax: ATTEMPTS_MAX, random: Math.random, sleep: sleepWithTimer };
  return withRetries(policy, signal, attempt);
}

function linkOptions({ token, signal }: DownloadOptions) {
  return { token, signal };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
