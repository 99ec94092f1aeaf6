import type { PrivateStack } from "../build.ts";
import type { Memory } from "./memory.ts";

/** Twice what the worst statement uses that SQLite's limits let compile. */
const STACK_BYTES = 512 * 1024;
/**
 * What must be left of a stack where a SELECT within another begins: whatever a single one nests, a schema's
 * expressions of a thousand levels among it, fits in here.
 */
const STACK_RESERVE_BYTES = 256 * 1024;
/** Larger than most frames of C, so that none steps over it. */
const CANARY_BYTES = 1024;
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

/**
 * Says whether so little of the stack is left, where its pointer stands in it, that nothing may be nested
 * any deeper. SQLite's limits are about one text: they do not bound views of many terms that read one
 * another, and a schema may hold those.
 */
export function isLow({ base, top }: PrivateStack, stackPointer: number): boolean {
  const isOnIt = stackPointer >= base && stackPointer <= top;
  return isOnIt && stackPointer < base + CANARY_BYTES + STACK_RESERVE_BYTES;
}

/** Bytes of the stack that were ever used. */
export function deepestUse(memory: Memory, { base, top }: PrivateStack): number {
  const stack = memory.bytes.subarray(base + CANARY_BYTES, top);
  const deepest = stack.findIndex((byte) => byte !== UNUSED);
  return deepest < 0 ? 0 : stack.length - deepest;
}
