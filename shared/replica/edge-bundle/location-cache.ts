import type { VerifiableLocation } from "./location-coding.ts";

/** Two numbers of 8 bytes, and five of 4. */
const ENTRY_BYTES = 32;
/** Entries among which the one that was used least lately makes room. */
const WAYS = 8;
const SETS_MIN = 64;
/** Each gives one of the sets that a page may be in. */
const HASH_MULTIPLIERS = [0x9e3779b1, 0xc2b2ae3d] as const;
/** Owners that are told apart; beyond these, the oldest starts anew with nothing. */
const OWNERS_MAX = 1_024;

export interface LocationCacheOptions {
  /** Most memory that it takes. */
  readonly bytesMax: number;
}

/**
 * Where pages lie, as far as it was read: one for all databases of an isolate, 32 bytes a page in typed
 * arrays that grow up to a bound. What was not used for longest goes. Values only, no promises.
 */
export class LocationCache {
  readonly #setsMax: number;
  readonly #owners = new Map<string, number>();
  #nextOwner = 1;
  #ticks = 0;
  #used = 0;
  #slots = new Slots(SETS_MIN);

  constructor({ bytesMax }: LocationCacheOptions) {
    let sets = SETS_MIN;
    while (2 * sets * WAYS * ENTRY_BYTES <= bytesMax) sets *= 2;
    this.#setsMax = sets;
  }

  /** Bytes of memory that it takes now. */
  get sizeBytes(): number {
    return this.#slots.sets * WAYS * ENTRY_BYTES;
  }

  /** The number under which to keep what belongs to `name`, the same each time. */
  owner(name: string): number {
    const known = this.#owners.get(name);
    if (known !== undefined) return known;
    const [oldest] = this.#owners.keys();
    if (this.#owners.size >= OWNERS_MAX && oldest !== undefined) this.#owners.delete(oldest);
    const owner = this.#nextOwner++;
    this.#owners.set(name, owner);
    return owner;
  }

  get(owner: number, pgno: number): VerifiableLocation | undefined {
    const slot = this.#slots.find(owner, pgno);
    if (slot === undefined) return undefined;
    this.#slots.ticks[slot] = this.#tick();
    return this.#slots.locationAt(slot);
  }

  set(owner: number, pgno: number, location: VerifiableLocation): void {
    this.#grow();
    const slot = this.#slots.place(owner, pgno);
    if (this.#slots.owners[slot] === 0) this.#used++;
    this.#slots.put(slot, owner, pgno, location);
    this.#slots.ticks[slot] = this.#tick();
  }

  delete(owner: number, pgno: number): void {
    const slot = this.#slots.find(owner, pgno);
    if (slot === undefined) return;
    this.#slots.owners[slot] = 0;
    this.#slots.ticks[slot] = 0;
    this.#used--;
  }

  #tick(): number {
    this.#ticks = (this.#ticks + 1) >>> 0;
    return this.#ticks;
  }

  /** Doubles the room when half of it is taken: beyond that, some sets are full while others are empty. */
  #grow(): void {
    const old = this.#slots;
    if (old.sets >= this.#setsMax || this.#used < 0.5 * old.sets * WAYS) return;
    const larger = new Slots(2 * old.sets);
    for (let slot = 0; slot < old.owners.length; slot++) {
      if (old.owners[slot] === 0) continue;
      const [owner, pgno] = [old.owners[slot], old.pgnos[slot]];
      // There is room: a set's entries are spread over two.
      const target = larger.place(owner, pgno);
      larger.put(target, owner, pgno, old.locationAt(slot));
      larger.ticks[target] = old.ticks[slot];
    }
    this.#slots = larger;
  }
}

/**
 * The arrays; a page may be in any of the eight slots of its two sets. With one set a page, one of five
 * hundred entries would go for another when half of the room is taken, and cost a read when it is missed.
 */
class Slots {
  readonly sets: number;
  /** 0 where a slot is free. */
  readonly owners: Uint32Array;
  readonly pgnos: Uint32Array;
  readonly ticks: Uint32Array;
  readonly #file: Uint32Array;
  readonly #offset: Float64Array;
  readonly #size: Uint32Array;
  readonly #checksum: Uint32Array;

  constructor(sets: number) {
    const count = sets * WAYS;
    this.sets = sets;
    this.owners = new Uint32Array(count);
    this.pgnos = new Uint32Array(count);
    this.ticks = new Uint32Array(count);
    this.#file = new Uint32Array(count);
    this.#offset = new Float64Array(count);
    this.#size = new Uint32Array(count);
    this.#checksum = new Uint32Array(count);
  }

  find(owner: number, pgno: number): number | undefined {
    for (const multiplier of HASH_MULTIPLIERS) {
      const start = this.#startOf(owner, pgno, multiplier);
      for (let slot = start; slot < start + WAYS; slot++) {
        if (this.pgnos[slot] === pgno && this.owners[slot] === owner) return slot;
      }
    }
    return undefined;
  }

  /** The page's slot; where it has none, a free one of its set, or that of the entry which has to go. */
  place(owner: number, pgno: number): number {
    const known = this.find(owner, pgno);
    if (known !== undefined) return known;
    let chosen = -1;
    let freest = -1;
    for (const multiplier of HASH_MULTIPLIERS) {
      const start = this.#startOf(owner, pgno, multiplier);
      let least = start;
      let free = 0;
      for (let slot = start; slot < start + WAYS; slot++) {
        if (this.ticks[slot] < this.ticks[least]) least = slot;
        if (this.owners[slot] === 0) free++;
      }
      if (free > freest || (free === freest && this.ticks[least] < this.ticks[chosen])) {
        chosen = least;
        freest = free;
      }
    }
    return chosen;
  }

  put(slot: number, owner: number, pgno: number, location: VerifiableLocation): void {
    this.owners[slot] = owner;
    this.pgnos[slot] = pgno;
    this.#file[slot] = location.file;
    this.#offset[slot] = location.offset;
    this.#size[slot] = location.size;
    this.#checksum[slot] = location.checksum;
  }

  locationAt(slot: number): VerifiableLocation {
    return {
      file: this.#file[slot],
      offset: this.#offset[slot],
      size: this.#size[slot],
      checksum: this.#checksum[slot],
    };
  }

  #startOf(owner: number, pgno: number, multiplier: number): number {
    const mixed = Math.imul(pgno ^ Math.imul(owner, 0x85ebca6b), multiplier);
    return ((mixed ^ (mixed >>> 15)) & (this.sets - 1)) * WAYS;
  }
}
