/** Ends a request when its caller gives up or when nothing has moved for too long. */
export interface Deadline {
  /** Fires for either reason; for `fetch`. */
  readonly signal: AbortSignal;
  /** Says that time ran out, and not that the caller gave up. */
  readonly expired: boolean;
  /** Begins the wait anew: something has moved. */
  extend(): void;
  /** To be called at the end, whatever the end is. */
  stop(): void;
}

/** Starts a deadline of `idleMs` without movement, tied to the caller's `signal`. */
export function startDeadline(idleMs: number, signal: AbortSignal | undefined): Deadline {
  const controller = new AbortController();
  let expired = false;
  let timer: unknown;
  const forward = () => controller.abort(signal?.reason);
  const extend = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      expired = true;
      controller.abort(new Error(`nothing moved for ${idleMs} ms`));
    }, idleMs);
  };
  signal?.addEventListener("abort", forward, { once: true });
  if (signal?.aborted) forward();
  extend();
  return {
    signal: controller.signal,
    get expired() {
      return expired;
    },
    extend,
    stop() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", forward);
    },
  };
}
