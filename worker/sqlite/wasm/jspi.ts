/** The two names of JavaScript Promise Integration, which the types of the platform do not have yet. */
interface PromiseIntegration {
  readonly Suspending: new <Args extends readonly number[]>(
    suspends: (...args: Args) => Promise<number>,
  ) => (...args: Args) => number;
  promising(exported: unknown): (...args: number[]) => Promise<number>;
}

const integration = WebAssembly as unknown as PromiseIntegration;

/** An import that suspends the wasm below it until its promise resolves. */
export function suspending<Args extends readonly number[]>(
  suspends: (...args: Args) => Promise<number>,
): (...args: Args) => number {
  return new integration.Suspending(suspends);
}

/** An export that gives back a promise, and may call what suspends. */
export function promising(exported: unknown): (...args: number[]) => Promise<number> {
  return integration.promising(exported);
}
