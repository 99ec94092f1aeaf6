import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { startDeadline } from "../../../shared/storage/deadline.ts";
import { S3Store } from "../../../shared/storage/s3-store.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("ends when nothing has moved for its time, and not before", () => {
  const deadline = startDeadline(100, undefined);
  vi.advanceTimersByTime(99);
  deadline.extend();
  vi.advanceTimersByTime(99);
  expect([deadline.signal.aborted, deadline.expired]).toEqual([false, false]);
  vi.advanceTimersByTime(1);
  expect([deadline.signal.aborted, deadline.expired]).toEqual([true, true]);
});

it("ends when the caller gives up, which is not its own doing", () => {
  const controller = new AbortController();
  const deadline = startDeadline(100, controller.signal);
  controller.abort("enough");
  expect(deadline.signal.reason).toBe("enough");
  expect(deadline.expired).toBe(false);
  expect(startDeadline(100, controller.signal).signal.aborted).toBe(true);
});

it("leaves neither timer nor listener when it is stopped", () => {
  const controller = new AbortController();
  const deadline = startDeadline(100, controller.signal);
  deadline.stop();
  expect(vi.getTimerCount()).toBe(0);
  controller.abort();
  expect(deadline.signal.aborted).toBe(false);
});

it("lets a body take as long as it likes while it moves, and leaves no timer behind", async () => {
  const pieces = [1, 2, 3, 4, 5].map((byte) => Uint8Array.of(byte));
  const store = new S3Store({
    endpoint: "https://store.invalid",
    bucket: "b",
    region: "auto",
    accessKeyId: "id",
    secretAccessKey: "secret",
    now: () => 0,
    random: () => 0,
    attemptsMax: 1,
    idleMs: 50,
    fetch: async (_url, { signal }) => {
      const body = new ReadableStream<Uint8Array>(
        {
          start: (controller) =>
            signal.addEventListener("abort", () => controller.error(signal.reason)),
          pull(controller) {
            vi.advanceTimersByTime(40);
            const piece = pieces.shift();
            if (piece) controller.enqueue(piece);
            else controller.close();
          },
        },
        // Nothing ahead of what is read, or time would pass twice at once.
        { highWaterMark: 0 },
      );
      return new Response(body, { headers: { etag: '"e"', "content-length": "5" } });
    },
  });
  expect((await store.get("k"))?.bytes).toEqual(Uint8Array.of(1, 2, 3, 4, 5));
  expect(vi.getTimerCount()).toBe(0);
});
