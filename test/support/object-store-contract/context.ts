import type { ObjectInfo, ObjectStore } from "../../../shared/storage/object-store.ts";

/** What a store is known not to do, or to do only in part. */
export interface ContractOptions {
  /** An empty store; `pageSize` bounds the pages of its listings. */
  readonly open: (options: { readonly pageSize?: number }) => Promise<ObjectStore>;
  /** Keys that the store can hold beside plain ones. */
  readonly oddKeys: readonly string[];
  /** Metadata that comes back; a folder keeps a time only. */
  readonly metadata: Readonly<Record<string, string>>;
  /** A listing can carry metadata. */
  readonly listsMetadata: boolean;
  /** Bytes of the large streamed body. */
  readonly largeBytes: number;
  /** Objects for the listing of many pages; fewer where each costs much. */
  readonly manyObjects: number;
  /** Requests end in mid-flight when the signal fires; a binding's and memory's do not. */
  readonly cancelsInFlight: boolean;
}

/** The store of the test that runs. */
export type Context = () => { readonly store: ObjectStore; readonly options: ContractOptions };

const encoder = new TextEncoder();

export function bytesOf(text: string): Uint8Array {
  return encoder.encode(text);
}

export function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes && new TextDecoder().decode(bytes);
}

/** Bytes that repeat only after 251, so that a part in the wrong place is seen. */
export function patternBytes(length: number, from = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (from + index) % 251);
}

export async function* streamOf(...chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* chunks;
}

export async function listAll(store: ObjectStore, prefix: string, startAfter?: string) {
  const objects: ObjectInfo[] = [];
  let pages = 0;
  let cursor: string | undefined;
  do {
    const page = await store.list({ prefix, startAfter, cursor });
    objects.push(...page.objects);
    cursor = page.cursor;
    pages++;
  } while (cursor !== undefined);
  return { keys: objects.map(({ key }) => key), objects, pages };
}
