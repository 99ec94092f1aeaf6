import type { ProgressEvent } from "../sync/progress.ts";
import { progressLine, type ProgressLine } from "./progress.ts";

const WORK = { image: "the database", snapshot: "the snapshot", file: "it" } as const;

/**
 * One line on a terminal for whatever long work is under way, of one database or many; silent where
 * `stream` is none. What is printed besides must call `end` first.
 */
export class ReplicationProgress {
  readonly #stream: NodeJS.WriteStream;
  #line: ProgressLine | undefined;
  #label: string | undefined;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  /** @param name Which database it is, where there are many. */
  update(event: ProgressEvent, name: string | undefined): void {
    const label = `${name === undefined ? "" : `${name}: `}${event.phase} ${WORK[event.of]}`;
    if (label !== this.#label) {
      this.end();
      const startedMs = performance.now() - event.elapsed_ms;
      this.#line = progressLine(label, this.#stream, startedMs);
      this.#label = label;
    }
    this.#line?.update({ doneBytes: event.done_bytes, totalBytes: event.total_bytes });
    if (event.done_bytes >= event.total_bytes) this.end();
  }

  /** Ends the line that is drawn, if there is one. */
  end(): void {
    this.#line?.end();
    this.#line = this.#label = undefined;
  }
}
