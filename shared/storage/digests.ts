/** SHA-256 and what is made of it: at once where the runtime can, later where it cannot. */
export interface Digests {
  /** 32 bytes. */
  sha256(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** HMAC with SHA-256, 32 bytes. */
  hmacSha256(key: Uint8Array, bytes: Uint8Array): Uint8Array | Promise<Uint8Array>;
}

/** What every runtime has. It copies what it is given, and each call takes a turn of the event loop or more. */
export const webDigests: Digests = {
  async sha256(bytes) {
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  },
  async hmacSha256(key, bytes) {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const imported = await crypto.subtle.importKey("raw", key, algorithm, false, ["sign"]);
    return new Uint8Array(await crypto.subtle.sign("HMAC", imported, bytes));
  },
};
