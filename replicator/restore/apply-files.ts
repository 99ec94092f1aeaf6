import { ReplicaError } from "../../shared/errors.ts";
import type { LtxHeader } from "../../shared/ltx/header.ts";
import type { LtxFileInfo } from "../../shared/replica/list-ltx-files.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import type { DatabaseFile } from "./database-file.ts";
import { decodeFiles } from "./decode-files.ts";

/** Runs of pages that may be on their way to the disk while the next piece is decoded. */
const RUNS_AHEAD_MAX = 2;

interface ApplyOptions {
  readonly parallelism?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((bytes: number) => void) | undefined;
}

/**
 * Writes the pages of LTX files into a database file, oldest file first, so that the newest version of
 * a page is written last.
 *
 * @returns The newest file's header.
 * @throws {ReplicaError} As `decodeFiles`, and `CORRUPT_PAGE` where page sizes differ.
 */
export async function applyFiles(
  { store }: Replica,
  files: readonly LtxFileInfo[],
  target: DatabaseFile,
  options: ApplyOptions,
): Promise<LtxHeader> {
  let newest: LtxHeader | undefined;
  await decodeFiles(store, files, {
    ...options,
    onPage: (pgno, data) => target.writePage(pgno, data),
    // In one file every page is there once; the next file may hold it anew.
    afterPiece: (isLast) => target.settle(isLast ? 0 : RUNS_AHEAD_MAX),
    onFile({ key }, { header }) {
      if (newest && newest.pageSize !== header.pageSize) refuseOther(key, header, newest);
      newest = header;
    },
  });
  if (!newest) throw new Error("a plan holds at least one file");
  return newest;
}

function refuseOther(key: string, header: LtxHeader, before: LtxHeader): never {
  const sizes = `${header.pageSize} bytes, those before it ${before.pageSize}`;
  throw new ReplicaError(
    "CORRUPT_PAGE",
    `"${key}" is damaged: its pages have ${sizes}: two histories share this path`,
  );
}
