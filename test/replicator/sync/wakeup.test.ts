import { describe, expect, it } from "vitest";
import { Wakeup } from "../../../replicator/sync/wakeup.ts";

const never = new AbortController().signal;

/** Says whether `promise` is settled once all that is ready has run. */
async function isSettled(promise: Promise<void>): Promise<boolean> {
  let settled = false;
  void promise.then(() => (settled = true));
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

async function started(): Promise<Wakeup> {
  const wakeup = new Wakeup();
  await wakeup.wait(never);
  return wakeup;
}

describe("Wakeup", () => {
  it("does not make the first wait wait", async () => {
    expect(await isSettled(new Wakeup().wait(never))).toBe(true);
  });

  it("wakes who waits", async () => {
    const wakeup = await started();
    const waiting = wakeup.wait(never);
    expect(await isSettled(waiting)).toBe(false);
    wakeup.notify();
    expect(await isSettled(waiting)).toBe(true);
  });

  it("wakes once for all the calls that came while the loop was busy", async () => {
    const wakeup = await started();
    for (let call = 0; call < 5; call++) wakeup.notify();
    expect(await isSettled(wakeup.wait(never))).toBe(true);
    expect(await isSettled(wakeup.wait(never))).toBe(false);
  });

  it("ends a wait with its signal, at once when that fired before", async () => {
    const wakeup = await started();
    const controller = new AbortController();
    const waiting = wakeup.wait(controller.signal);
    controller.abort();
    expect(await isSettled(waiting)).toBe(true);
    expect(await isSettled(wakeup.wait(controller.signal))).toBe(true);
  });

  it("ends a wait after the time that it was given", async () => {
    const wakeup = await started();
    await wakeup.wait(never, 1);
    expect(await isSettled(wakeup.wait(never))).toBe(false);
  });
});
