/** Whoever holds wasm memory, and can give it up while nobody uses it. */
export interface MemoryHolder {
  readonly memoryBytes: number;
  /** Gives up what nobody uses now. */
  release(): void;
}

/**
 * What the wasm memories of an isolate may have together. A wasm memory never shrinks, so where one has
 * to grow and there is no room beside the others, those that nobody uses are given up.
 */
export class MemoryBudget {
  readonly #bytesMax: number;
  readonly #holders = new Set<MemoryHolder>();

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  join(holder: MemoryHolder): void {
    this.#holders.add(holder);
  }

  /** Says whether `holder` may have `bytes` in all, once others have made what room they can. */
  allows(holder: MemoryHolder, bytes: number): boolean {
    const others = [...this.#holders].filter((other) => other !== holder);
    for (const other of others) {
      if (bytes + bytesOf(others) <= this.#bytesMax) return true;
      other.release();
    }
    return bytes + bytesOf(others) <= this.#bytesMax;
  }
}

function bytesOf(holders: readonly MemoryHolder[]): number {
  return holders.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
}
