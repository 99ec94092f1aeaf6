import { throwIfAborted } from "../../shared/errors.ts";
import type { Txid } from "../../shared/ltx/txid.ts";

/** Those who wait until all that is committed now is staged. */
export class Demands {
  readonly #waiting: PromiseWithResolvers<Txid | undefined>[] = [];

  get length(): number {
    return this.#waiting.length;
  }

  /**
   * Waits until `meet` is called.
   *
   * @throws {ReplicaError} `ABORTED` when `signal` fires before that.
   */
  async add(signal: AbortSignal): Promise<Txid | undefined> {
    throwIfAborted(signal);
    const demand = Promise.withResolvers<Txid | undefined>();
    const leave = () => demand.resolve(undefined);
    signal.addEventListener("abort", leave, { once: true });
    this.#waiting.push(demand);
    const txid = await demand.promise;
    signal.removeEventListener("abort", leave);
    throwIfAborted(signal);
    return txid;
  }

  /** Answers everybody who waited when `capture` began: it stages all that is committed. */
  async meet(capture: () => Promise<Txid | undefined>): Promise<void> {
    const met = this.#waiting.splice(0);
    if (met.length === 0) return;
    let txid: Txid | undefined;
    try {
      txid = await capture();
    } catch (error) {
      // They go on waiting: what hindered it may pass.
      this.#waiting.unshift(...met);
      throw error;
    }
    for (const { resolve } of met) resolve(txid);
  }
}
