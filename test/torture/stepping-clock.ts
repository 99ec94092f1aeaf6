/**
 * To be loaded before a program (`node --import`): its clock steps. `EDDY_TORTURE_CLOCK` is a list of
 * `AFTER_MS:STEP_MS`, the first counted from the start of the process, for example `300:-3600000,900:60000`.
 * Clocks that never step (`performance.now`, timers) are left alone.
 */
const steps = (process.env["EDDY_TORTURE_CLOCK"] ?? "")
  .split(",")
  .filter((text) => text !== "")
  .map((text) => text.split(":").map(Number) as [number, number]);

const RealDate = Date;

function now(): number {
  const sinceStart = performance.now();
  const shift = steps.reduce(
    (sum, [afterMs, stepMs]) => sum + (sinceStart >= afterMs ? stepMs : 0),
    0,
  );
  return RealDate.now() + shift;
}

class SteppingDate extends RealDate {
  constructor(...given: [] | [number | string]) {
    super(given[0] ?? now());
  }

  static override now(): number {
    return now();
  }
}

globalThis.Date = SteppingDate as DateConstructor;
