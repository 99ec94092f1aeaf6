import type { VerifiableLocation } from "./location-coding.ts";

/** Two numbers of 8 bytes, and five of 4. */
const ENTRY_BYTES = 32;
/** Entries among which the one that was used least lately makes room. */
const WAYS = 8;
const SETS_MIN = 64;
/** Sets that a page may be in. */
const HASHES = 2;
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

  /** Makes four times the room when three quarters are taken: all entries are placed anew each time. */
  #grow(): void {
    const old = this.#slots;
    if (old.sets >= this.#setsMax || this.#used < 0.75 * old.sets * WAYS) return;
    const larger = new Slots(Math.min(4 * old.sets, this.#setsMax));
    for (let slot = 0; slot < old.owners.length; slot++) {
      if (old.owners[slot] === 0) continue;
      const [owner, pgno] = [old.owners[slot], old.pgnos[slot]];
      // There is room: one of its sets has a free slot.
      const target = larger.place(owner, pgno);
      larger.put(target, owner, pgno, old.locationAt(slot));
      larger.ticks[target] = old.ticks[slot];
    }
    this.#slots = larger;
  }
}

/**
 * The arrays; a page may be in any of the eight slots of its two sets. With one set a page, a tenth of the
 * entries would have to go for others when three quarters of the room are taken.
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
    for (let hash = 0; hash < HASHES; hash++) {
      const start = this.#startOf(owner, pgno, hash);
      for (let slot = start; slot < start + WAYS; slot++) {
        if (this.pgnos[slot] === pgno && this.owners[slot] === owner) return slot;
      }
    }
    return undefined;
  }

  /** The page's slot; if it has none, a free one of its emptier set, or that of the entry which has to go. */
  place(owner: number, pgno: number): number {
    const { owners, pgnos, ticks } = this;
    let least = -1;
    let freest = 0;
    for (let hash = 0; hash < HASHES; hash++) {
      const start = this.#startOf(owner, pgno, hash);
      let free = 0;
      let leastHere = start;
      for (let slot = start; slot < start + WAYS; slot++) {
        if (pgnos[slot] === pgno && owners[slot] === owner) return slot;
        if (ticks[slot] < ticks[leastHere]) leastHere = slot;
        if (owners[slot] === 0) free++;
      }
      if (least < 0 || free > freest || (free === freest && ticks[leastHere] < ticks[least])) {
        least = leastHere;
        freest = free;
      }
    }
    return least;
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

  #startOf(owner: number, pgno: number, hash: number): number {
    const mixed = Math.imul(pgno ^ Math.imul(owner, 0x85ebca6b), HASH_MULTIPLIERS[hash]);
    return ((mixed ^ (mixed >>> 15)) & (this.sets - 1)) * WAYS;
  }
}
