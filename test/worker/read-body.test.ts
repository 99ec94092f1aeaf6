import { HTTPException } from "hono/http-exception";
import { describe, expect, it } from "vitest";
import { readBody } from "../../worker/http/read-body.ts";

const MIB = 1024 * 1024;

/** A request whose body comes in parts, and which says how long it is, or not. */
function request(parts: readonly Uint8Array[], announced?: string): Request {
  const left = [...parts];
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const part = left.shift();
      if (part) controller.enqueue(part);
      else controller.close();
    },
  });
  const headers = announced === undefined ? undefined : { "content-length": announced };
  return new Request("https://eddy.test/", { method: "POST", body, ...(headers && { headers }) });
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

describe("a body", () => {
  it("is read whether its length is announced or not, wherever its characters are cut", async () => {
    const text = "SELECT '𝄞 é'";
    const whole = bytes(text);
    const parts = Array.from(whole, (byte) => Uint8Array.of(byte));
    for (const announced of [undefined, String(whole.length)]) {
      expect(await readBody(request([whole], announced))).toBe(text);
      expect(await readBody(request(parts, announced))).toBe(text);
    }
    expect(await readBody(new Request("https://eddy.test/", { method: "POST" }))).toBe("");
  });

  it("loses its byte order mark, and keeps one that follows", async () => {
    for (const announced of [undefined, "10"]) {
      expect(await readBody(request([bytes("\uFEFF\uFEFFabcd")], announced))).toBe("\uFEFFabcd");
    }
  });

  it.each<[string, string | undefined]>([
    ["no length is announced", undefined],
    ["its length is announced", String(5 * MIB)],
    ["a shorter one is announced", "10"],
    ["what is announced is no length", "-1"],
  ])("is refused where it is too long: %s", async (_name, announced) => {
    const parts = Array.from({ length: 5 }, () => new Uint8Array(MIB).fill(0x20));
    const error = await readBody(request(parts, announced)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(HTTPException);
    expect((error as HTTPException).status).toBe(413);
  });

  it("is refused where it is not UTF-8, and the next one is read all the same", async () => {
    for (const announced of [undefined, "2"]) {
      const cut = request([Uint8Array.of(0x53, 0xe2)], announced);
      await expect(readBody(cut)).rejects.toMatchObject({ code: "BAD_REQUEST" });
      expect(await readBody(request([bytes("ok")], announced))).toBe("ok");
    }
  });
});
