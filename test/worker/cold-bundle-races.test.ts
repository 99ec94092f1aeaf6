/** What happens in the bucket while an isolate that knows nothing begins to read. */
import { beforeEach, describe, expect, test } from "vitest";
import { formatBasePrefix, formatHeadKey } from "../../shared/replica/edge-bundle/bundle-keys.ts";
import type { GetOptions, ListOptions, ObjectStore } from "../../shared/storage/object-store.ts";
import { getEngine } from "../../worker/sqlite/engine.ts";
import { sqljsBuild } from "../../worker/sqlite/sqljs/sqljs-instance.ts";
import { coldReader } from "../support/workerd/cold-reader.ts";
import { ledgerReplica, singles, type LedgerReplica } from "../support/workerd/ledger.ts";

const ROW = "SELECT account FROM entries WHERE id = 3001";
const ROW_ANSWER = [[3001 % 97]];
const NOTE = "SELECT note FROM entries WHERE id = ";

let ledger: LedgerReplica;

beforeEach(() => {
  ledger = ledgerReplica();
});

interface Meddling {
  /** Runs before the first answer to a list, or to a read of a key that begins so. */
  readonly beforeList?: () => Promise<void>;
  readonly before?: { readonly key: string; readonly meddle: () => Promise<void> };
}

/** The bucket, in which something happens between a request and its answer. */
function meddledWith({ beforeList, before }: Meddling): ObjectStore {
  const { memory } = ledger;
  let hasListed = false;
  let hasRead = false;
  return {
    list: async (options: ListOptions) => {
      if (!hasListed) await beforeList?.();
      hasListed = true;
      return memory.list(options);
    },
    get: async (key: string, options?: GetOptions) => {
      if (before && !hasRead && key.startsWith(before.key)) {
        hasRead = true;
        await before.meddle();
      }
      return memory.get(key, options);
    },
    put: (key, body, options) => memory.put(key, body, options),
    delete: (keys, options) => memory.delete(keys, options),
  };
}

describe("while a replica is opened by its bundle", () => {
  test("files and a newer bundle may come between the list and the bundle's head", async () => {
    await ledger.put(...singles(1, 3));
    const store = meddledWith({
      before: {
        key: formatHeadKey(ledger.replica),
        // The list has been answered by now, as it was asked first.
        meddle: async () => {
          await ledger.put(...singles(4, 6));
          await ledger.bundle();
        },
      },
    });
    const answer = await coldReader(store).query(`${NOTE}1500`);
    expect(answer).toMatchObject({
      txid: "0000000000000006",
      rows: [["touched 6"]],
      verified: true,
      // The second begins at the bundle's TXID.
      lists: 2,
    });
  });

  test("its base may be replaced: the head is read once more", async () => {
    await ledger.put(...singles(1, 3));
    await ledger.bundle(0);
    const [old = ""] = await ledger.keys(formatBasePrefix(ledger.replica));
    const store = meddledWith({
      before: {
        key: formatBasePrefix(ledger.replica),
        meddle: async () => {
          await ledger.put(...singles(4, 4));
          await ledger.memory.delete([old, formatHeadKey(ledger.replica)]);
          await ledger.bundle(0);
        },
      },
    });
    const answer = await coldReader(store).query(`${NOTE}1000`);
    expect(answer).toMatchObject({
      txid: "0000000000000004",
      rows: [["touched 4"]],
      verified: true,
    });
    const heads = answer.keysRead.filter((key) => key === formatHeadKey(ledger.replica));
    expect(heads).toHaveLength(2);
  });

  test("files that it names may be compacted away: all is looked at once more", async () => {
    await ledger.put(...singles(1, 5));
    await ledger.bundle();
    const [first = ""] = await ledger.keys("db/0000/");
    const store = meddledWith({
      before: {
        key: first,
        meddle: async () => {
          await ledger.put([9, 1, 5]);
          await ledger.memory.delete((await ledger.keys("db/0000/")).slice(0, 4));
        },
      },
    });
    const answer = await coldReader(store).query(ROW);
    expect(answer).toMatchObject({ txid: "0000000000000005", rows: ROW_ANSWER });
  });

  test("a statement that was given up leaves nothing behind", async () => {
    await ledger.put(...singles(1, 3));
    await ledger.bundle();
    await ledger.put(...singles(4, 9));
    // A scan, still on its way when it is known that there are newer files.
    const answer = await coldReader(ledger.memory).query("SELECT count(note) FROM entries");
    expect(answer).toMatchObject({ txid: "0000000000000009", rows: [[4_000]] });
    const stats = (await getEngine(sqljsBuild)).stats();
    expect(stats).toMatchObject({ running: 0, waiting: 0, retired: 0, busyConnections: 0 });
  });
});
