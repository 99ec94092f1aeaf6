import { isReplicaError } from "../../shared/errors.ts";
import type { PutBody } from "../../shared/storage/bytes.ts";
import type { ObjectStore } from "../../shared/storage/object-store.ts";

/** One call of a store's method, when it has ended. */
export interface StoreOperation {
  readonly kind: "list" | "get" | "put" | "delete";
  readonly durationMs: number;
  /** Moved: answered by `get`, sent by `put`; as many as were sent when it failed. */
  readonly bytes: number;
  /** What `put` was given. */
  readonly put?: { readonly key: string; readonly body: PutBody };
  /** Why it failed: an `ErrorCode`, or `UNEXPECTED`. */
  readonly errorCode: string | undefined;
}

export interface MeteredStoreOptions {
  readonly onOperation: (operation: StoreOperation) => void;
  /** A clock that never steps, in milliseconds. */
  readonly now: () => number;
}

/** `store`, with every call reported when it has ended. What it does and answers stays the same. */
export function meteredStore(store: ObjectStore, options: MeteredStoreOptions): ObjectStore {
  const measure = async <T>(
    what: Pick<StoreOperation, "kind" | "put">,
    call: () => Promise<T>,
    bytesOf: (answer: T | undefined) => number,
  ): Promise<T> => {
    const startedMs = options.now();
    let answer: T | undefined;
    let errorCode: string | undefined;
    try {
      answer = await call();
      return answer;
    } catch (error) {
      errorCode = isReplicaError(error) ? error.code : "UNEXPECTED";
      throw error;
    } finally {
      const durationMs = options.now() - startedMs;
      options.onOperation({ ...what, durationMs, bytes: bytesOf(answer), errorCode });
    }
  };
  return {
    list: (request) => measure({ kind: "list" }, () => store.list(request), noBytes),
    get: (key, request) =>
      measure(
        { kind: "get" },
        () => store.get(key, request),
        (answer) => answer?.bytes.length ?? 0,
      ),
    put: (key, body, request) => {
      const counted = countBytes(body);
      const what = { kind: "put", put: { key, body } } as const;
      return measure(what, () => store.put(key, counted.body, request), counted.bytes);
    },
    delete: (keys, request) =>
      measure({ kind: "delete" }, () => store.delete(keys, request), noBytes),
  };
}

function noBytes(): number {
  return 0;
}

/** Bytes stay bytes: a store that sees them sends them in one piece. */
function countBytes(body: PutBody): { readonly body: PutBody; readonly bytes: () => number } {
  if (body instanceof Uint8Array) return { body, bytes: () => body.length };
  let bytes = 0;
  const counted = async function* () {
    for await (const chunk of body) {
      bytes += chunk.length;
      yield chunk;
    }
  };
  return { body: counted(), bytes: () => bytes };
}
