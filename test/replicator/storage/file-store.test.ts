import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { FileStore } from "../../../replicator/storage/file-store.ts";
import { describeObjectStore } from "../../support/object-store-contract.ts";

const root = mkdtempSync(join(tmpdir(), "eddy-file-store-"));
let opened = 0;
afterAll(() => rmSync(root, { recursive: true, force: true }));

describeObjectStore("a folder", {
  open: async (options) => new FileStore(join(root, String(opened++)), options),
  oddKeys: ["'()*!", "a b+c", "日本/😀", "%2F", "a\u0001b", " spaces ", "-rf"],
  metadata: { "litestream-timestamp": "2025-01-01T00:00:00.123Z" },
  listsMetadata: true,
  largeBytes: 12_345_678,
  manyObjects: 1_100,
  cancelsInFlight: false,
});
