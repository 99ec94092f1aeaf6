import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isReplicaError } from "../../../shared/errors.ts";
import {
  formatLevelPrefix,
  formatLtxKey,
  formatReplicaPrefix,
  parseLtxKey,
  type KeyLayout,
} from "../../../shared/replica/ltx-key.ts";
import { txid } from "../../support/replica-fixtures.ts";

interface Place {
  readonly path: string;
  readonly layout: KeyLayout;
}

const BUCKET: Place = { path: "prod/app.db", layout: "s3" };
const FOLDER: Place = { path: "", layout: "folder" };
const NAME = "000000000000002a-000000000000002b.ltx";

describe("keys are spelled as Litestream spells them", () => {
  const spellings: [Place, number, string][] = [
    [BUCKET, 0, `prod/app.db/0000/${NAME}`],
    [BUCKET, 9, `prod/app.db/0009/${NAME}`],
    [{ path: "", layout: "s3" }, 0, `/0000/${NAME}`],
    [{ path: ".", layout: "s3" }, 0, `./0000/${NAME}`],
    [{ path: "foo/", layout: "s3" }, 1, `foo//0001/${NAME}`],
    [FOLDER, 0, `ltx/0/${NAME}`],
    [FOLDER, 9, `ltx/9/${NAME}`],
    [{ path: "backup/app", layout: "folder" }, 9, `backup/app/ltx/9/${NAME}`],
  ];
  test.each(spellings)("%o level %i: %s", (place, level, key) => {
    const parts = { level, minTxid: txid(0x2a), maxTxid: txid(0x2b) };
    expect(formatLtxKey(place, parts)).toBe(key);
    expect(parseLtxKey(place, key)).toEqual(parts);
    expect(key.startsWith(formatLevelPrefix(place, level))).toBe(true);
    expect(key.startsWith(formatReplicaPrefix(place))).toBe(true);
  });
});

describe("what is not an LTX file of the replica is left alone", () => {
  const foreign: [Place, string][] = [
    [BUCKET, "prod/app.db/lock.json"],
    [BUCKET, "prod/app.db/generations/0123456789abcdef/snapshots/00000000.snapshot.lz4"],
    [BUCKET, `prod/app.db/0000/${NAME}.tmp`],
    [BUCKET, `prod/app.db/0000/.${NAME}`],
    [BUCKET, "prod/app.db/0000/000000000000002A-000000000000002B.ltx"],
    [BUCKET, "prod/app.db/0000/2a-2b.ltx"],
    [BUCKET, "prod/app.db/0000/000000000000002b-000000000000002a.ltx"],
    [BUCKET, "prod/app.db/0000/0000000000000000-0000000000000001.ltx"],
    [BUCKET, `prod/app.db/0000/deeper/${NAME}`],
    [BUCKET, `prod/app.db/000a/${NAME}`],
    [BUCKET, `prod/app.db/00000/${NAME}`],
    [BUCKET, `prod/app.db/0/${NAME}`],
    [BUCKET, `prod/app.db/${NAME}`],
    [BUCKET, `prod/app.db2/0000/${NAME}`],
    [BUCKET, `xprod/app.db/0000/${NAME}`],
    [BUCKET, `prod/app.db/ltx/0/${NAME}`],
    [FOLDER, `0000/${NAME}`],
    [FOLDER, `ltx/0000/${NAME}`],
    [FOLDER, `ltx/10/${NAME}`],
    [FOLDER, `ltx/0/${NAME}.tmp`],
    [BUCKET, ""],
  ];
  test.each(foreign)("%o %j", (place, key) => {
    expect(parseLtxKey(place, key)).toBeUndefined();
  });
});

test("a key says what it was made of, and keys of one level sort as TXIDs do", () => {
  const aTxid = fc.bigInt({ min: 1n, max: 0xffff_ffff_ffff_ffffn });
  const aRange = fc.tuple(aTxid, aTxid).map(([a, b]) => {
    const [minTxid, maxTxid] = (a < b ? [a, b] : [b, a]) as [
      ReturnType<typeof txid>,
      ReturnType<typeof txid>,
    ];
    return { minTxid, maxTxid };
  });
  fc.assert(
    fc.property(
      fc.constantFrom(BUCKET, FOLDER),
      fc.integer({ min: 0, max: 9 }),
      aRange,
      aRange,
      (place, level, a, b) => {
        const key = formatLtxKey(place, { level, ...a });
        expect(parseLtxKey(place, key)).toEqual({ level, ...a });
        if (a.minTxid < b.minTxid) expect(key < formatLtxKey(place, { level, ...b })).toBe(true);
      },
    ),
  );
});

test("a TXID of 0 never gets into a key", () => {
  expect(() => txid(0)).toThrow(expect.toSatisfy((error) => isReplicaError(error, "BAD_REF")));
});
