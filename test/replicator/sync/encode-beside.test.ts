import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { encodeBeside } from "../../../replicator/sync/encode-beside.ts";
import type { LtxSource } from "../../../replicator/sync/ltx-from-wal.ts";
import { DisturbedError } from "../../../replicator/sync/ltx-pieces.ts";
import type { LtxPage, LtxSummary } from "../../../shared/ltx/decoder.ts";
import { encodeLtx } from "../../../shared/ltx/encoder.ts";
import type { PageCodec } from "../../../shared/ltx/page-frame.ts";
import { concatBytes, ltxHeader, samplePage } from "../../support/ltx-fixtures.ts";

interface Encoded {
  readonly bytes: Uint8Array;
  readonly summary: LtxSummary;
}

async function collect(
  pieces: Iterator<Uint8Array, LtxSummary> | AsyncIterator<Uint8Array, LtxSummary>,
): Promise<Encoded> {
  const copies: Uint8Array[] = [];
  for (;;) {
    const next = await pieces.next();
    if (next.done) return { bytes: concatBytes(copies), summary: next.value };
    // A piece holds only until the next is asked for.
    copies.push(next.value.slice());
  }
}

async function refusal(pieces: Parameters<typeof collect>[0]): Promise<unknown> {
  try {
    return await collect(pieces);
  } catch (error) {
    return error;
  }
}

/** A file of `count` pages of every kind, through one buffer, as the pages of a database are read. */
function sourceOf(pageSize: number, count: number, firstPgno = 2): LtxSource {
  const header = ltxHeader({ pageSize, commit: firstPgno + count, minTxid: 7 });
  const buffer = new Uint8Array(pageSize);
  const pages = {
    *[Symbol.iterator](): Generator<LtxPage> {
      for (let i = 0; i < count; i++) {
        buffer.set(samplePage(i % 3 === 0 ? "noise" : "half noise", i + 1, pageSize));
        yield { pgno: firstPgno + i, data: buffer };
      }
    },
  };
  return { header, pageCount: count, pages };
}

describe("encodeBeside", () => {
  it.each([
    [512, 5_000, "block"],
    [4096, 4_000, "block"],
    [4096, 700, "frame"],
    [65_536, 100, "block"],
    [4096, 1, "block"],
    [4096, 0, "block"],
  ] as const)(
    "makes the bytes that the encoder makes: pages of %i bytes, %i of them, as %ss",
    async (pageSize, count, codec: PageCodec) => {
      const { header, pages, pageCount } = sourceOf(pageSize, count);
      const there = await collect(encodeBeside({ header, pages, pageCount }, { codec }));
      const here = await collect(encodeLtx(header, pages, { codec }));
      expect(Buffer.compare(there.bytes, here.bytes)).toBe(0);
      expect(there.summary).toEqual(here.summary);
    },
  );

  it("refuses what the encoder refuses, in the same words", async () => {
    const { header, pageCount } = sourceOf(4096, 2);
    const pages = [5, 4].map((pgno) => ({ pgno, data: new Uint8Array(4096) }));
    const there = await refusal(encodeBeside({ header, pages, pageCount }));
    const here = await refusal(encodeLtx(header, pages));
    expect(there).toMatchObject({ code: "CORRUPT_PAGE", message: (here as Error).message });
  });

  it("ends without its last piece when it was disturbed, and asks when all pages are read", async () => {
    const { header, pages, pageCount } = sourceOf(4096, 3_000);
    let taken = 0;
    const counted = {
      *[Symbol.iterator]() {
        for (const page of pages) {
          yield page;
          taken++;
        }
      },
    };
    const isUndisturbed = () => {
      expect(taken).toBe(3_000);
      return false;
    };
    const whole = await collect(encodeLtx(header, pages));
    let bytes = 0;
    const read = async () => {
      for await (const piece of encodeBeside(
        { header, pages: counted, pageCount },
        { isUndisturbed },
      )) {
        bytes += piece.length;
      }
    };
    await expect(read()).rejects.toThrow(DisturbedError);
    expect(bytes).toBeLessThan(whole.bytes.length);
  });

  it("passes on what reading a page throws, and ends its thread", async () => {
    const { header, pageCount } = sourceOf(4096, 2_000);
    const pages = {
      *[Symbol.iterator](): Generator<LtxPage> {
        for (let pgno = 2; pgno < 1_000; pgno++) yield { pgno, data: randomBytes(4096) };
        throw new Error("the file cannot be read");
      },
    };
    await expect(collect(encodeBeside({ header, pages, pageCount }))).rejects.toThrow(
      "the file cannot be read",
    );
    expect(process.getActiveResourcesInfo()).not.toContain("MessagePort");
  });

  it("ends its thread when it is left early", async () => {
    const pieces = encodeBeside(sourceOf(4096, 5_000));
    expect((await pieces.next()).done).toBe(false);
    await pieces.return(undefined as never);
    expect(process.getActiveResourcesInfo()).not.toContain("MessagePort");
  });
});
