import { closeSync, fstatSync, openSync } from "node:fs";
import { lockPgno, parseDatabaseHeader } from "../../shared/sqlite/database-header.ts";
import { readAt } from "../files/read-at.ts";

/** Bytes of page 1 that may differ between equal databases: journal mode, counters, SQLite's version. */
const COUNTERS = [
  [18, 20],
  [24, 28],
  // The schema's cookie, which a copy by SQLite changes.
  [40, 44],
  [92, 100],
] as const;

export interface FileDifference {
  /** Pages that differ. */
  readonly count: number;
  /** The first of them. */
  readonly pgno: number;
}

/**
 * Compares two database files that nobody writes to, page by page. What SQLite never reads is left out:
 * the leaves of the free list, and the page that it locks on.
 *
 * @returns Undefined when they are equal.
 */
export function compareDatabaseFiles(path: string, otherPath: string): FileDifference | undefined {
  const fds = [openSync(path, "r"), openSync(otherPath, "r")] as const;
  try {
    const { pageSize } = parseDatabaseHeader(readAt(fds[0], 0, 100));
    const pageOf = (fd: number, pgno: number) => {
      const page = readAt(fd, (pgno - 1) * pageSize, pageSize);
      if (pgno === 1) for (const [start, end] of COUNTERS) page.fill(0, start, end);
      return page;
    };
    const [commit, other] = fds.map((fd) => Math.ceil(fstatSync(fd).size / pageSize));
    const unused = freeLeaves((pgno) => pageOf(fds[0], pgno), pageSize, commit);
    unused.add(lockPgno(pageSize));
    let [count, first] = [0, 0];
    for (let pgno = 1; pgno <= Math.max(commit ?? 0, other ?? 0); pgno++) {
      if (unused.has(pgno)) continue;
      if (Buffer.compare(pageOf(fds[0], pgno), pageOf(fds[1], pgno)) === 0) continue;
      if (count++ === 0) first = pgno;
    }
    return count === 0 ? undefined : { count, pgno: first };
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

/** Pages of the free list that hold nothing, not even the list. */
function freeLeaves(
  pageOf: (pgno: number) => Uint8Array,
  pageSize: number,
  commit = 0,
): Set<number> {
  const leaves = new Set<number>();
  const viewOf = (pgno: number) => {
    const page = pageOf(pgno);
    return new DataView(page.buffer, page.byteOffset, page.byteLength);
  };
  let trunk = viewOf(1).getUint32(32);
  // A list that leads in circles is cut off: the integrity check tells of it.
  for (let trunks = 0; trunk > 0 && trunk <= commit && trunks < commit; trunks++) {
    const view = viewOf(trunk);
    const count = Math.min(view.getUint32(4), pageSize / 4 - 2);
    for (let i = 0; i < count; i++) leaves.add(view.getUint32(8 + 4 * i));
    trunk = view.getUint32(0);
  }
  return leaves;
}
