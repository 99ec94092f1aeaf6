/**
 * Wakes one loop, from anywhere. A call that comes while the loop is busy wakes it once more
 * afterwards, however many there were.
 */
export class Wakeup {
  // The first wait ends at once: whoever starts looks for itself.
  #isPending = true;
  #wake: (() => void) | undefined;

  /** `notify` was called since the last wait ended. */
  get isPending(): boolean {
    return this.#isPending;
  }

  notify(): void {
    this.#isPending = true;
    this.#wake?.();
  }

  /** Resolves when `notify` is called or was called meanwhile, when `signal` fires, or after `ms`. */
  async wait(signal: AbortSignal, ms?: number): Promise<void> {
    if (!this.#isPending && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = ms === undefined ? undefined : setTimeout(done, ms);
        function done(): void {
          clearTimeout(timer);
          signal.removeEventListener("abort", done);
          resolve();
        }
        this.#wake = done;
        signal.addEventListener("abort", done, { once: true });
      });
      this.#wake = undefined;
    }
    this.#isPending = false;
  }
}
