import type { Memory } from "./memory.ts";

/** wasm memory of one instance, whoever else has any. */
const MEMORY_BYTES_MAX = 64 * 1024 * 1024;

/** What Emscripten's C library asks of any host: the clock, the memory, and a time zone. */
export interface RuntimeCalls {
  readonly dateNow: () => number;
  readonly monotonicNow: () => number;
  readonly heapBytesMax: () => number;
  readonly resizeHeap: (bytes: number) => number;
  readonly localtime: (seconds: bigint, out: number) => number;
  readonly tzset: (...addresses: number[]) => void;
  readonly environSizes: (count: number, bytes: number) => number;
}

/**
 * @param memory Looked up at each call: SQLite's memory is there only after its imports.
 * @param mayGrowTo Asked before it grows to so many bytes.
 */
export function runtimeCalls(
  memory: () => Memory,
  mayGrowTo: (bytes: number) => boolean,
): RuntimeCalls {
  return {
    dateNow: () => Date.now(),
    monotonicNow: () => Date.now(),
    heapBytesMax: () => MEMORY_BYTES_MAX,
    resizeHeap: (bytes) =>
      mayGrowTo(bytes >>> 0) && memory().grow(bytes >>> 0, MEMORY_BYTES_MAX) ? 1 : 0,
    localtime: (seconds, out) => writeLocaltime(memory(), seconds, out),
    tzset: (...addresses) => {
      for (const address of addresses) memory().setWord(address, 0);
    },
    environSizes: (count, bytes) => {
      for (const address of [count, bytes]) memory().setWord(address, 0);
      return 0;
    },
  };
}

/** A Worker has no time zone but UTC. */
function writeLocaltime(memory: Memory, seconds: bigint, out: number): number {
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime())) return 1;
  const year = date.getUTCFullYear();
  const dayOfYear = Math.floor((date.getTime() - Date.UTC(year, 0, 1)) / 86_400_000);
  const fields = [
    date.getUTCSeconds(),
    date.getUTCMinutes(),
    date.getUTCHours(),
    date.getUTCDate(),
    date.getUTCMonth(),
    year - 1900,
    date.getUTCDay(),
    dayOfYear,
    0,
    0,
  ];
  for (const [index, field] of fields.entries()) {
    memory.view.setInt32(out + index * 4, field, true);
  }
  return 0;
}
