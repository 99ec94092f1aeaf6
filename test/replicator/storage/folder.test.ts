import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FileStore } from "../../../replicator/storage/file-store.ts";
import { folderError } from "../../../replicator/storage/folder-error.ts";
import { openReplica } from "../../../replicator/storage/open-store.ts";
import type { Etag } from "../../../shared/storage/object-store.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "eddy-folder-"));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function files(): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name);
}

async function* failing(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(10);
  throw new Error("the source broke");
}

const bytes = (text: string) => new TextEncoder().encode(text);

describe("FileStore", () => {
  it("makes the folders that are missing, its own root among them", async () => {
    const store = new FileStore(join(root, "not/yet/there"));
    expect(await store.list({ prefix: "" })).toEqual({ objects: [] });
    expect(await store.get("ltx/0/a.ltx")).toBeUndefined();
    await store.put("ltx/0/a.ltx", bytes("x"));
    expect(existsSync(join(root, "not/yet/there/ltx/0/a.ltx"))).toBe(true);
  });

  it("keeps a commit's time as the file's, to the millisecond, as Litestream does", async () => {
    const store = new FileStore(root);
    for (const stamp of [
      "2025-01-01T00:00:00Z",
      "2025-06-30T23:59:59.999Z",
      "1970-01-01T00:00:00.001Z",
    ]) {
      const metadata = { "litestream-timestamp": stamp };
      const { uploadedAtMs } = await store.put("k", bytes("x"), { metadata });
      expect(uploadedAtMs).toBe(Date.parse(stamp));
      expect(Math.round(statSync(join(root, "k")).mtimeMs)).toBe(Date.parse(stamp));
    }
    const put = store.put("k", bytes("y"), { metadata: { "litestream-timestamp": "yesterday" } });
    await expect(put).rejects.toThrow(
      expect.objectContaining({
        code: "BAD_REQUEST",
        message: expect.stringContaining("yesterday"),
      }),
    );
  });

  it("gives another ETag to other content of the same size and time", async () => {
    const store = new FileStore(root);
    const metadata = { "litestream-timestamp": "2025-01-01T00:00:00Z" };
    const etags = new Set<string>();
    for (const text of ["a", "b", "c", "d"]) {
      etags.add((await store.put("k", bytes(text), { metadata })).etag);
    }
    expect(etags.size).toBe(4);
  });

  it("shows a reader the old content or the new, never a mixture", async () => {
    const store = new FileStore(root);
    await store.put("k", new Uint8Array(300_000));
    const reading = (async () => {
      // Bounded by the last write, which is the one that is read in the end.
      for (let reads = 1; ; reads++) {
        const stored = await store.get("k");
        expect(stored?.bytes.length).toBe(300_000);
        expect(stored?.bytes.every((byte) => byte === stored.bytes[0])).toBe(true);
        if (stored?.bytes[0] === 30) return reads;
      }
    })();
    for (let value = 1; value <= 30; value++) {
      await store.put("k", new Uint8Array(300_000).fill(value));
    }
    expect(await reading).toBeGreaterThan(1);
  });

  it("leaves no file behind a write that failed", async () => {
    const store = new FileStore(root);
    await store.put("k", bytes("old"));
    await store.put("folder/x", bytes("x"));
    await expect(store.put("k", bytes("new"), { onlyIf: { absent: true } })).rejects.toThrow();
    await expect(
      store.put("k", bytes("new"), { onlyIf: { etag: "other" as Etag } }),
    ).rejects.toThrow();
    await expect(store.put("folder", bytes("new"))).rejects.toThrow(/\(EISDIR\)/);
    await expect(store.put("k/below", bytes("new"))).rejects.toThrow(
      /a part of the path is a file/,
    );
    await expect(store.put("k", failing())).rejects.toThrow("the source broke");
    expect(files().toSorted()).toEqual(["k", "x"]);
  });

  it("does not list what is not a finished file", async () => {
    const store = new FileStore(root);
    await store.put("a", bytes("x"));
    writeFileSync(join(root, "b.ltx.tmp"), "half");
    mkdirSync(join(root, "empty"));
    symlinkSync(join(root, "a"), join(root, "link"));
    expect((await store.list({ prefix: "" })).objects.map(({ key }) => key)).toEqual(["a"]);
  });

  it("leaves out files that are removed between two pages", async () => {
    const store = new FileStore(root, { pageSize: 1 });
    for (const key of ["a", "b", "c", "d/e"]) await store.put(key, bytes("x"));
    const { cursor } = await store.list({ prefix: "" });
    await store.delete(["b", "d/e"]);
    const second = await store.list({ prefix: "", cursor });
    expect(second.objects.map(({ key }) => key)).toEqual(["c"]);
    expect(await store.list({ prefix: "", cursor: second.cursor })).toEqual({ objects: [] });
  });

  it("goes on from a cursor that it no longer remembers", async () => {
    const store = new FileStore(root, { pageSize: 1 });
    for (const key of ["a", "b/1", "b/2", "c"]) await store.put(key, bytes("x"));
    const again = new FileStore(root, { pageSize: 9 });
    const { objects } = await again.list({ prefix: "", cursor: "b/1" });
    expect(objects.map(({ key }) => key)).toEqual(["b/2", "c"]);
    // More listings than it keeps under way: all of them end.
    const pages = await Promise.all(Array.from({ length: 40 }, () => store.list({ prefix: "" })));
    for (const { cursor } of pages) {
      expect((await store.list({ prefix: "", cursor })).objects[0].key).toBe("b/1");
    }
  });

  it.each([
    ["goes up", "../outside"],
    ["goes up later", "a/../../outside"],
    ["is absolute", "/etc/passwd"],
    ["has an empty part", "a//b"],
    ["has a part of one dot", "./a"],
    ["ends in a slash", "a/"],
    ["is empty", ""],
    ["has a zero byte", "a\0b"],
    ["has a backslash", "a\\b"],
    ["looks unfinished", "a.tmp"],
  ])("refuses a key that %s", async (_name, key) => {
    const store = new FileStore(join(root, "inner"));
    const refusal = expect.objectContaining({
      code: "BAD_CONFIG",
      message: expect.stringContaining("cannot be a file below"),
    });
    await expect(store.put(key, bytes("x"))).rejects.toThrow(refusal);
    await expect(store.get(key)).rejects.toThrow(refusal);
    await expect(store.delete([key])).rejects.toThrow(refusal);
    expect(readdirSync(root)).toEqual([]);
  });

  it("lists nothing outside its root", async () => {
    const store = new FileStore(join(root, "inner"));
    await new FileStore(root).put("outside/x", bytes("x"));
    await store.put("a/b", bytes("x"));
    for (const prefix of ["../", "a/../../", "/", "./", "../outside/", "a//"]) {
      expect((await store.list({ prefix })).objects).toEqual([]);
    }
  });

  it("says what is wrong when its root is a file", async () => {
    writeFileSync(join(root, "file"), "");
    const store = new FileStore(join(root, "file"));
    await expect(store.put("k", bytes("x"))).rejects.toThrow(
      expect.objectContaining({
        code: "R2_ERROR",
        message: `cannot write "k" in the folder ${root}/file: a part of the path is a file, not a folder (EEXIST)`,
      }),
    );
  });
});

describe("folderError", () => {
  it.each([
    ["EACCES", "STORE_DENIED", "give the user who runs Eddy read and write access (EACCES)"],
    ["EROFS", "STORE_DENIED", "mounted read-only (EROFS)"],
    ["EPERM", "STORE_DENIED", "that its file system has hard links, as FAT has not (EPERM)"],
    ["ENOSPC", "R2_ERROR", "the disk is full: make room and it goes on (ENOSPC)"],
    ["EDQUOT", "R2_ERROR", "quota is used up"],
    ["EWHAT", "R2_ERROR", "something odd (EWHAT)"],
  ])("says what %s means", (code, expected, message) => {
    const error = folderError(
      Object.assign(new Error("something odd"), { code }),
      'write "k" in',
      "/b",
    );
    expect(error).toMatchObject({ code: expected });
    expect(error.message).toContain('cannot write "k" in the folder /b: ');
    expect(error.message).toContain(message);
  });
});

describe("openReplica", () => {
  it("opens a folder, whose keys lie under no path", async () => {
    const replica = openReplica(`file://${root}`, { env: {}, writing: true });
    expect(replica).toMatchObject({ path: "", layout: "folder" });
    await replica.store.put("ltx/0/a", bytes("x"));
    expect(files()).toEqual(["a"]);
  });

  it("opens a bucket without asking it anything", () => {
    const env = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "secret" };
    const replica = openReplica("s3://b/prod/app.db?endpoint=nowhere.invalid", {
      env,
      writing: true,
    });
    expect(replica).toMatchObject({ path: "prod/app.db", layout: "s3" });
  });

  it("ends every request by the signal that it was given, and by the request's own", async () => {
    const aborted = expect.objectContaining({ code: "ABORTED" });
    const ended = openReplica(`file://${root}`, {
      env: {},
      writing: true,
      signal: AbortSignal.abort(),
    });
    await expect(ended.store.list({ prefix: "", signal: undefined })).rejects.toThrow(aborted);
    await expect(ended.store.get("k")).rejects.toThrow(aborted);
    await expect(ended.store.put("k", bytes("x"), {})).rejects.toThrow(aborted);
    await expect(ended.store.delete(["k"])).rejects.toThrow(aborted);
    const { signal } = new AbortController();
    const live = openReplica(`file://${root}`, { env: {}, writing: true, signal });
    await expect(live.store.get("k", { signal: AbortSignal.abort() })).rejects.toThrow(aborted);
    expect(await live.store.get("k")).toBeUndefined();
  });
});
