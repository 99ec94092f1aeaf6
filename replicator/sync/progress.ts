/** How far what takes long has come: reading a whole database, and uploading it. */
import { SNAPSHOT_LEVEL } from "../../shared/limits.ts";
import type { LtxPage } from "../../shared/ltx/decoder.ts";
import { parseLtxKey, type Replica } from "../../shared/replica/ltx-key.ts";
import type { LtxSource } from "./ltx-from-wal.ts";
import { withMethods } from "../../shared/storage/with-methods.ts";

/** Told so often at most, in milliseconds; what takes less is not told at all. */
const INTERVAL_MS = 500;

/** Where one piece of long work stands; printed as it stands by `--json`. */
export interface ProgressEvent {
  readonly event: "progress";
  /** What is shipped as the next TXID, what becomes a snapshot, or any large file at level 0. */
  readonly of: "image" | "snapshot" | "file";
  readonly phase: "reading" | "uploading";
  readonly done_bytes: number;
  readonly total_bytes: number;
  /** Since it was begun. */
  readonly elapsed_ms: number;
}

type OnProgress = (event: ProgressEvent) => void;

/** Counts what was done of one piece of work, and tells it now and then. */
class Counter {
  readonly #work: Pick<ProgressEvent, "of" | "phase" | "total_bytes">;
  readonly #onProgress: OnProgress;
  readonly #startedMs = performance.now();
  #toldMs = this.#startedMs;
  #doneBytes = 0;
  #isTold = false;

  constructor(work: Pick<ProgressEvent, "of" | "phase" | "total_bytes">, onProgress: OnProgress) {
    this.#work = work;
    this.#onProgress = onProgress;
  }

  add(bytes: number): void {
    this.#doneBytes += bytes;
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < INTERVAL_MS) return;
    this.#toldMs = nowMs;
    this.#tell();
  }

  /** Tells that nothing is left, if anything was told. */
  finish(): void {
    if (this.#isTold) this.#tell();
  }

  #tell(): void {
    this.#isTold = true;
    const elapsed_ms = Math.round(performance.now() - this.#startedMs);
    const done = { done_bytes: this.#doneBytes, elapsed_ms };
    this.#onProgress({ event: "progress", ...this.#work, ...done });
  }
}

/** `ltx`, whose reading is told each time that its pages are gone through. */
export function tellReading(
  ltx: LtxSource,
  of: ProgressEvent["of"],
  onProgress: OnProgress,
): LtxSource {
  const { pageSize } = ltx.header;
  const work = { of, phase: "reading", total_bytes: ltx.pageCount * pageSize } as const;
  const pages: Iterable<LtxPage> = {
    *[Symbol.iterator]() {
      const counter = new Counter(work, onProgress);
      for (const page of ltx.pages) {
        yield page;
        counter.add(pageSize);
      }
      counter.finish();
    },
  };
  return { ...ltx, pages };
}

/** `replica`, to which uploads at level 0 and of snapshots are told where they are too large for one piece. */
export function tellUploads(replica: Replica, onProgress: OnProgress): Replica {
  const { store } = replica;
  return {
    ...replica,
    store: withMethods(store, {
      put(key, body, options) {
        const level = parseLtxKey(replica, key)?.level;
        const total = options?.sizeBytesMax;
        const isLong = !(body instanceof Uint8Array) && total !== undefined;
        if (!isLong || (level !== 0 && level !== SNAPSHOT_LEVEL)) {
          return store.put(key, body, options);
        }
        const of = level === 0 ? "file" : "snapshot";
        const counter = new Counter({ of, phase: "uploading", total_bytes: total }, onProgress);
        return store.put(key, counted(body, counter), options);
      },
    }),
  };
}

async function* counted(body: AsyncIterable<Uint8Array>, counter: Counter) {
  for await (const chunk of body) {
    const { length } = chunk;
    yield chunk;
    counter.add(length);
  }
  counter.finish();
}
