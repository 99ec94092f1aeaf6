import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { ReplicationProgress } from "../../../replicator/terminal/replication-progress.ts";
import type { ProgressEvent } from "../../../replicator/sync/progress.ts";

const CLEAR_LINE = "\r\u001B[K";

/** What is drawn on a stream that is a terminal, or is none. */
function screen(isTTY: boolean): { stream: NodeJS.WriteStream; drawn: () => string } {
  const stream = new PassThrough();
  const drawn = () =>
    String((stream.read() as Buffer | null) ?? "").replaceAll(CLEAR_LINE, "<line>");
  return { stream: Object.assign(stream, { isTTY }) as unknown as NodeJS.WriteStream, drawn };
}

function at(megabytes: number, work: Partial<ProgressEvent> = {}): ProgressEvent {
  const bytes = { done_bytes: megabytes * 1e6, total_bytes: 20e6, elapsed_ms: 1_000_000 };
  return { event: "progress", of: "image", phase: "reading", ...bytes, ...work };
}

describe("ReplicationProgress", () => {
  it("draws a line of its own for each piece of work, and ends it at the end", () => {
    const { stream, drawn } = screen(true);
    const progress = new ReplicationProgress(stream);
    progress.update(at(5), undefined);
    expect(drawn()).toMatch(
      /^<line>reading the database █+░+ 5\.0 of 20\.0 MB  0\.0 MB\/s  3\d{3} s left$/,
    );
    progress.update(at(20), undefined);
    expect(drawn()).toMatch(/20\.0 of 20\.0 MB .*\n$/);
    progress.update(at(1, { of: "snapshot", phase: "uploading" }), "/data/app.db");
    expect(drawn()).toMatch(/^<line>\/data\/app\.db: uploading the snapshot /);
    // Whoever prints a sentence begins on a line of his own.
    progress.end();
    expect(drawn()).toMatch(/\n$/);
    progress.end();
    expect(drawn()).toBe("");
  });

  it("draws nothing where nobody looks", () => {
    const { stream, drawn } = screen(false);
    const progress = new ReplicationProgress(stream);
    progress.update(at(5), undefined);
    progress.end();
    expect(drawn()).toBe("");
  });
});
