const encoder = new TextEncoder();
// A text may well begin with U+FEFF: it is the caller's, not a byte order mark.
const decoder = new TextDecoder("utf-8", { fatal: false, ignoreBOM: true });

/** Typed access to an instance's memory. Views are made anew after the memory has grown. */
export class Memory {
  readonly #memory: WebAssembly.Memory;
  #bytes: Uint8Array;
  #view: DataView;

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#view = new DataView(memory.buffer);
  }

  get sizeBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  get bytes(): Uint8Array {
    // Growing detaches the old buffer, and a view of a detached buffer is empty.
    if (this.#bytes.length === 0) this.#bytes = new Uint8Array(this.#memory.buffer);
    return this.#bytes;
  }

  get view(): DataView {
    if (this.#view.buffer.byteLength === 0) this.#view = new DataView(this.#memory.buffer);
    return this.#view;
  }

  /** Grows to at least `bytes`, to at most `bytesMax`; false where that cannot be had. */
  grow(bytes: number, bytesMax: number): boolean {
    const pages = Math.ceil((bytes - this.sizeBytes) / 65_536);
    if (bytes > bytesMax) return false;
    try {
      this.#memory.grow(Math.max(pages, 0));
      return true;
    } catch {
      return false;
    }
  }

  word(address: number): number {
    return this.view.getUint32(address, true);
  }

  setWord(address: number, value: number): void {
    this.view.setUint32(address, value, true);
  }

  setLong(address: number, value: bigint): void {
    this.view.setBigInt64(address, value, true);
  }

  /** The text at `address` up to its NUL; undefined for a null pointer. */
  cString(address: number): string | undefined {
    if (address === 0) return undefined;
    return this.text(address, this.bytes.indexOf(0, address) - address);
  }

  text(address: number, bytes: number): string {
    return decoder.decode(this.bytes.subarray(address, address + bytes));
  }

  encode(text: string): Uint8Array {
    return encoder.encode(text);
  }
}
