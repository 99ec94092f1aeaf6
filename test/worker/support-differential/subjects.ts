/** The subjects of the differential test in workerd: their replicas in a store, whose answers come when they like. */
import { inject } from "vitest";
import { parseTxid, toTxid } from "../../../shared/ltx/txid.ts";
import { storeSink } from "../../../shared/replica/edge-bundle/bundle-sink.ts";
import { LocationCache } from "../../../shared/replica/edge-bundle/location-cache.ts";
import {
  readBundleHead,
  snapshotOf,
} from "../../../shared/replica/edge-bundle/read-bundle-head.ts";
import { updateBundle } from "../../../shared/replica/edge-bundle/update-bundle.ts";
import type { Replica } from "../../../shared/replica/ltx-key.ts";
import { PageCache } from "../../../shared/replica/page-cache.ts";
import { PageReader } from "../../../shared/replica/page-reader.ts";
import { openSnapshot, type Snapshot } from "../../../shared/replica/snapshot.ts";
import { MemoryStore } from "../../../shared/storage/memory-store.ts";
import type { ObjectStore } from "../../../shared/storage/object-store.ts";
import type { Random } from "../../../tools/demo/random.ts";
import type { Parametrized } from "../../support/differential/parameters.ts";
import type { Answer, DifferentialSettings, Subject } from "../../support/differential/protocol.ts";

declare module "vitest" {
  interface ProvidedContext {
    readonly differential: DifferentialSettings;
  }
}

/** Of a database's pages its cache holds so many: queries drop what others will read. */
const CACHED_PAGES_MIN = 6;
const CACHED_SHARE = 0.1;

export interface OpenSubject {
  readonly index: number;
  readonly subject: Subject;
  readonly versions: readonly Snapshot[];
  readonly cache: PageCache;
}

async function ask(body: object): Promise<Response> {
  const { url } = inject("differential");
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body) });
  if (!response.ok) throw new Error(await response.text());
  return response;
}

/** What the real SQLite answers to another statement, for a failure to be made smaller. */
export async function nativeAnswer(
  { subject, index }: OpenSubject,
  version: number,
  query: Parametrized,
): Promise<Answer> {
  const { seed } = inject("differential");
  const queries = subject.questions.length;
  return await (await ask({ seed, index, queries, version, query })).json();
}

/** Reads that come a few promises later, and some only at another turn of the event loop. */
function jittery(store: ObjectStore, random: Random): ObjectStore {
  return {
    list: (options) => store.list(options),
    async get(key, options) {
      for (let turn = random.below(12); turn > 0; turn--) await Promise.resolve();
      if (random.below(16) === 0) await new Promise((resolve) => setTimeout(resolve, 0));
      return await store.get(key, options);
    },
    put: (key, body, options) => store.put(key, body, options),
    delete: (keys, options) => store.delete(keys, options),
  };
}

export async function openSubject(
  index: number,
  queries: number,
  random: Random,
): Promise<OpenSubject> {
  const { seed } = inject("differential");
  const subject: Subject = await (await ask({ seed, index, queries })).json();
  const store = new MemoryStore();
  for (const { key, base64, metadata } of subject.objects) {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    await store.put(key, bytes, { metadata });
  }
  const filled = { store, path: "db", layout: "s3" } as const;
  const replica = { ...filled, store: jittery(store, random) };
  const isBundled = index % 2 === 1;
  if (isBundled) await updateBundle(filled, storeSink(filled));
  const versions = await Promise.all(
    subject.versions.map((txid, at) => {
      if (at < subject.versions.length - 1) {
        return openSnapshot(replica, { kind: "txid", txid: parseTxid(txid) ?? toTxid(0n) });
      }
      return isBundled ? openByBundle(replica) : openSnapshot(replica, { kind: "latest" });
    }),
  );
  const pages = Math.max(...versions.map(({ commit }) => commit));
  const cachedPages = Math.max(CACHED_PAGES_MIN, Math.ceil(pages * CACHED_SHARE));
  const cache = new PageCache({ bytesMax: cachedPages * (subject.pageSize + 200) });
  return { index, subject, versions, cache };
}

/** The newest version through its edge bundle, of which little is kept: parts of it are read again and again. */
async function openByBundle(replica: Replica): Promise<Snapshot> {
  const cache = new LocationCache({ bytesMax: 64 * 1_024 });
  const reading = await readBundleHead(replica, { cache });
  if (!reading.head) throw new Error(reading.reason);
  return snapshotOf(replica, reading.head);
}

/** A reader of one version for one query, as a request has one. */
export function readerOf({ versions, cache }: OpenSubject, version: number): PageReader {
  const snapshot = versions[version];
  if (snapshot === undefined) throw new Error(`no version ${version}`);
  return new PageReader(snapshot, { cache });
}
