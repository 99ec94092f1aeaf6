/** Trials of damage: what readers of a damaged replica come to, counted. */
import { expect } from "vitest";
import { inParallel } from "../../shared/replica/in-parallel.ts";
import {
  DamagedStore,
  flipBit,
  type Damage,
  type DamageNaming,
  type WholeObjects,
} from "./damaged-store.ts";
import { coldLibrary, outcomeOf } from "./read-every-page.ts";
import { replicaIn } from "./replica-fixtures.ts";

/** Trials at a time: what they wait for is no disk and no network, so a few do. */
const TRIALS_AT_A_TIME = 32;

/** When an object is damaged: before anybody has read anything, or when the newest state has been opened. */
export type Moment = "before it is opened" | "before it is read";

export interface Trial {
  readonly key: string;
  /** What is done to it, for the report. */
  readonly what: string;
  readonly damage: Damage;
}

export interface TrialOptions {
  /** The database's file, as it has to be read. */
  readonly truth: Uint8Array;
  readonly moment: Moment;
  readonly naming: DamageNaming;
  readonly at?: string | undefined;
  readonly pgnos?: readonly number[] | undefined;
  readonly isDownload?: boolean | undefined;
}

/** How often which outcome was met, and the first trials that met it. */
export class Outcomes {
  readonly #trials = new Map<string, string[]>();

  add(outcome: string, { key, what }: Trial): void {
    const trials = this.#trials.get(outcome) ?? [];
    trials.push(`${key}: ${what}`);
    this.#trials.set(outcome, trials);
  }

  count(outcome: string): number {
    return this.#trials.get(outcome)?.length ?? 0;
  }

  get names(): string[] {
    return [...this.#trials.keys()].toSorted();
  }

  /** Trials with other outcomes than these, a few of each. */
  beside(allowed: readonly string[]): Record<string, readonly string[]> {
    const others = [...this.#trials].filter(([outcome]) => !allowed.includes(outcome));
    return Object.fromEntries(others.map(([outcome, trials]) => [outcome, trials.slice(0, 5)]));
  }
}

/** One trial for each bit of an object, or for one in `step` of them. */
export function everyBit(key: string, bytes: Uint8Array, step = 1): Trial[] {
  const length = Math.ceil((8 * bytes.length) / step);
  return Array.from({ length }, (_, index) => flipAt(key, index * step));
}

export function flipAt(key: string, bit: number): Trial {
  return { key, what: `bit ${bit & 7} of byte ${bit >> 3}`, damage: flipBit(bit) };
}

/** Lets a reader with empty caches read the database in each trial. */
export async function runTrials(
  objects: WholeObjects,
  trials: readonly Trial[],
  { truth, moment, naming, ...options }: TrialOptions,
): Promise<Outcomes> {
  const outcomes = new Outcomes();
  await inParallel(trials, TRIALS_AT_A_TIME, async (trial) => {
    const { key, damage } = trial;
    const store = new DamagedStore(objects, { key, damage, naming });
    const strike = () => store.strike();
    if (moment === "before it is opened") strike();
    const onOpened = moment === "before it is read" ? strike : undefined;
    const outcome = await outcomeOf(coldLibrary(), replicaIn(store), truth, {
      ...options,
      onOpened,
    });
    outcomes.add(outcome, trial);
  });
  return outcomes;
}

/** What may become of a reader; that `right` answers are verified is not asked for. */
export const SAFE = ["right", "right verified", "CORRUPT_PAGE"];
/** Without a bundle, and with files too large to be read whole. */
export const HONEST = [...SAFE, "wrong"];

/** Numbers below a bound, the same ones each time. */
export type Chance = (bound: number) => number;

export function chanceOf(seed: number): Chance {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

export function flips(objects: WholeObjects, count: number, chance: Chance): Trial[] {
  const all = [...objects];
  return Array.from({ length: count }, () => {
    const [key, { bytes }] = all[chance(all.length)];
    return flipAt(key, chance(8 * bytes.length));
  });
}

export function withoutBundle(objects: WholeObjects): WholeObjects {
  return new Map([...objects].filter(([key]) => !key.startsWith("db/eddy/")));
}

export const MODES = [
  ["before it is opened", "by another ETag"],
  ["before it is opened", "as before"],
  ["before it is read", "by another ETag"],
  ["before it is read", "as before"],
] as const;

/** Trials in all four modes, each on its share. */
export async function inAllModes(
  objects: WholeObjects,
  trials: readonly Trial[],
  { allowed, ...options }: Omit<TrialOptions, "moment" | "naming"> & { readonly allowed: string[] },
): Promise<readonly Outcomes[]> {
  const all: Outcomes[] = [];
  for (const [mode, [moment, naming]] of MODES.entries()) {
    const share = trials.filter((_, index) => index % MODES.length === mode);
    const outcomes = await runTrials(objects, share, { moment, naming, ...options });
    expect(outcomes.beside(allowed), `${moment}, ${naming}, ${options.at}`).toEqual({});
    all.push(outcomes);
  }
  return all;
}

export function totalOf(outcomes: readonly Outcomes[], name: string): number {
  return outcomes.reduce((total, each) => total + each.count(name), 0);
}
