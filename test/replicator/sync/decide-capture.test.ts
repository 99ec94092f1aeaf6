import { describe, expect, it } from "vitest";
import { decideCapture, type CapturePosition } from "../../../replicator/sync/decide-capture.ts";
import type { WalHeader } from "../../../replicator/wal/wal-header.ts";

const header: WalHeader = {
  pageSize: 4096,
  checkpointSequence: 5,
  salt1: 100,
  salt2: 200,
  isBigEndian: false,
  checksum: [1, 2],
};
const position: CapturePosition = { header, offset: 32 + 3 * 4120, checksum: [3, 4] };
/** What SQLite makes of a header when it begins the log anew. */
const anew = {
  ...header,
  checkpointSequence: 6,
  salt1: 101,
  salt2: 201,
  checksum: [5, 6],
} as const;
const startOf = (log: WalHeader) => ({ header: log, offset: 32, checksum: log.checksum });

function decide(state: {
  position: CapturePosition;
  header: WalHeader | undefined;
  unread?: boolean;
  isEndOfLockedLog?: boolean;
  isTakenBack?: boolean;
}) {
  const { position, header, unread = false, isEndOfLockedLog = true, isTakenBack = false } = state;
  return decideCapture({
    position,
    header,
    isEndOfLockedLog,
    hasLastTransaction: () => !isTakenBack,
    hasUnreadFrames: () => unread,
  });
}

describe("decideCapture", () => {
  it("goes on where it stopped while the log is the same", () => {
    for (const isEndOfLockedLog of [true, false]) {
      const state = { position, header: { ...header }, unread: true, isEndOfLockedLog };
      expect(decide(state)).toEqual({ kind: "incremental", from: position });
    }
  });

  it("reads a log from its start when there was none before", () => {
    expect(decide({ position: "no-log", header })).toEqual({
      kind: "incremental",
      from: startOf(header),
    });
  });

  it("reads a log begun anew from its start when all of the old one was read", () => {
    expect(decide({ position, header: anew })).toEqual({
      kind: "incremental",
      from: startOf(anew),
    });
  });

  it.each([
    ["there is no log", "no-log", undefined],
    ["the log is cut off or its header is half written", position, undefined],
  ] as const)("does nothing while %s", (_name, position, header) => {
    expect(decide({ position, header })).toEqual({ kind: "nothing" });
  });

  it.each([
    ["nothing is known of what was read", { position: undefined, header }, "nothing shows"],
    [
      "nothing is known of what was read, and there is no log",
      { position: undefined, header: undefined },
      "nothing shows",
    ],
    [
      "the log was begun anew before its last commits were read: Litestream's known hole",
      { position, header: anew, unread: true },
      "before exactly all of it was read",
    ],
    [
      "the log was begun anew, and had another end than what was read",
      { position, header: anew, isEndOfLockedLog: false },
      "before exactly all of it was read",
    ],
    [
      "the last commit that was read is no longer in the log",
      { position, header, isTakenBack: true },
      "taken back",
    ],
    [
      "the log was begun anew twice",
      { position, header: { ...anew, checkpointSequence: 7, salt1: 102 } },
      "more than once",
    ],
    [
      "the log was deleted and made anew, so that its count begins at 0 again",
      { position, header: { ...anew, checkpointSequence: 0 } },
      "more than once",
    ],
    [
      "the log has other salts at the same count",
      { position, header: { ...anew, checkpointSequence: 5 } },
      "more than once",
    ],
    [
      "the log has the same salts at another count",
      { position, header: { ...header, checkpointSequence: 4 } },
      "more than once",
    ],
  ] as const)("ships the whole database when %s", (_name, state, reason) => {
    expect(decide(state)).toEqual({ kind: "full", reason: expect.stringContaining(reason) });
  });
});
