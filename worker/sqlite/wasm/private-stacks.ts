import type { PrivateStack } from "../build.ts";
import type { Memory } from "./memory.ts";

/** The worst statement that SQLite's limits let compile uses less than half of it. */
const STACK_BYTES = 256 * 1024;
const CANARY_BYTES = 64;
const CANARY = 0xa5;
/** What an unused part of a stack holds, so that its use can be measured. */
const UNUSED = 0x5a;

/** What one private stack takes of the heap. */
export const STACK_BLOCK_BYTES = STACK_BYTES + CANARY_BYTES;

/** Makes a block of `STACK_BLOCK_BYTES` a stack that nobody has used. */
export function layOutStack(memory: Memory, base: number): PrivateStack {
  memory.bytes.fill(CANARY, base, base + CANARY_BYTES);
  memory.bytes.fill(UNUSED, base + CANARY_BYTES, base + STACK_BLOCK_BYTES);
  // The C ABI wants the stack aligned to 16 bytes.
  return { base, top: (base + STACK_BLOCK_BYTES) & ~15 };
}

export function isCanaryAlive(memory: Memory, { base }: PrivateStack): boolean {
  return memory.bytes.subarray(base, base + CANARY_BYTES).every((byte) => byte === CANARY);
}

/** Bytes of the stack that were ever used. */
export function deepestUse(memory: Memory, { base, top }: PrivateStack): number {
  const stack = memory.bytes.subarray(base + CANARY_BYTES, top);
  const deepest = stack.findIndex((byte) => byte !== UNUSED);
  return deepest < 0 ? 0 : stack.length - deepest;
}
