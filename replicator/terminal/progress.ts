/** A line on the terminal that is redrawn while something long runs; silent where nobody looks. */
const WIDTH = 30;
const REDRAW_MS = 100;

export interface ProgressState {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface ProgressLine {
  update(state: ProgressState): void;
  /** Ends the line, so that what is printed next begins on a new one. */
  end(): void;
}

/**
 * Draws on `stream` when it is a terminal: bar, amount, rate, time left.
 *
 * @param startedMs When the work was begun, on the clock of `performance.now()`.
 */
export function progressLine(
  label: string,
  stream: NodeJS.WriteStream,
  startedMs = performance.now(),
): ProgressLine {
  if (!stream.isTTY) return { update: () => undefined, end: () => undefined };
  let drawnMs = 0;
  let last: ProgressState | undefined;
  const draw = (state: ProgressState) => {
    const seconds = (performance.now() - startedMs) / 1000;
    stream.write(`\r\u001B[K${label} ${describeProgress(state, seconds)}`);
  };
  return {
    update(state) {
      last = state;
      if (performance.now() - drawnMs < REDRAW_MS) return;
      drawnMs = performance.now();
      draw(state);
    },
    end() {
      if (!last) return;
      draw(last);
      stream.write("\n");
      last = undefined;
    },
  };
}

/** For example `██████░░░░ 12.0 of 20.0 MB  40.0 MB/s  1 s left`. */
function describeProgress({ doneBytes, totalBytes }: ProgressState, seconds: number): string {
  const share = totalBytes === 0 ? 1 : doneBytes / totalBytes;
  const bar = "█".repeat(Math.round(share * WIDTH)).padEnd(WIDTH, "░");
  const rate = seconds > 0 ? `  ${megabytes(doneBytes / seconds)} MB/s` : "";
  const left =
    share > 0 && share < 1 ? `  ${Math.ceil((seconds / share) * (1 - share))} s left` : "";
  return `${bar} ${megabytes(doneBytes)} of ${megabytes(totalBytes)} MB${rate}${left}`;
}

/** Bytes as megabytes with one decimal. */
export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
