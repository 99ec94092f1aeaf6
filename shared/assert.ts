/**
 * Stops on a programmer's error: something that no input can cause. What input can cause is a
 * `ReplicaError`.
 */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${message}`);
}
