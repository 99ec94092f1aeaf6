import { createHmac, hash } from "node:crypto";
import type { Digests } from "../../shared/storage/digests.ts";

/** Digests without a copy of what is digested, and without a wait: a thread's turn takes longer than a small body. */
export const nodeDigests: Digests = {
  sha256: (bytes) => hash("sha256", bytes, "buffer"),
  hmacSha256: (key, bytes) => createHmac("sha256", key).update(bytes).digest(),
};
