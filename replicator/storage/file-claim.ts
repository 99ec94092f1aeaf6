import { createHash } from "node:crypto";
import { link, readFile, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import type { Etag } from "../../shared/storage/object-store.ts";
import { codeOf, nameTemporary, removeFile, TEMPORARY_SUFFIX } from "./durable-file.ts";

/** A claim this old was left by a process that died; replacing a file takes milliseconds. Or it is from a time to which the clock was set. */
const STALE_AFTER_MS = 60_000;
/** As this old, where no process of its number runs on this machine any more. */
const STALE_OWN_AFTER_MS = 2_000;

/** Who has a claim, for whoever finds it. */
const OWNER = `${hostname()}:${process.pid}\n`;

/** The right to replace one content of one file, held by one process at a time. */
export interface ReplacementClaim {
  release(): Promise<void>;
}

/**
 * Claims the right to replace the content `etag` of `path`.
 *
 * A file system cannot compare and rename in one step. But each content is replaced once only, so
 * whoever creates the file named after that content may replace it. The holder must look at the
 * content again: the claim may be the second one for a content that is gone.
 *
 * @returns Undefined when another process holds the claim.
 */
export async function claimReplacement(
  path: string,
  etag: Etag,
): Promise<ReplacementClaim | undefined> {
  const content = createHash("sha256").update(etag).digest("hex").slice(0, 16);
  const claim = `${path}.${content}.claim${TEMPORARY_SUFFIX}`;
  await breakStaleClaim(claim);
  if (!(await createOwned(claim))) return undefined;
  return { release: () => removeFile(claim) };
}

/**
 * Creates `path`, with its owner in it from the first moment: a process that is killed in between must
 * not leave a file that says of nobody whether he lives.
 *
 * @returns False where there is such a file.
 */
async function createOwned(path: string): Promise<boolean> {
  const temporary = nameTemporary(path);
  try {
    // Not forced to disk: after a power failure it is old, or gone.
    await writeFile(temporary, OWNER, { flag: "wx" });
    await link(temporary, path);
    return true;
  } catch (error) {
    if (codeOf(error) === "EEXIST") return false;
    throw error;
  } finally {
    await removeFile(temporary);
  }
}

/**
 * Removes a claim that was left. Whoever saw it may be late, and find another's fresh claim under its name:
 * so only one at a time may remove this very file, and looks once more before.
 */
async function breakStaleClaim(claim: string): Promise<void> {
  const stale = await staleIdentity(claim);
  if (stale === undefined) return;
  const right = `${claim}.${stale}${TEMPORARY_SUFFIX}`;
  if (!(await createOwned(right))) {
    // Left by a process that died over it: the next one may.
    if ((await staleIdentity(right)) !== undefined) await removeFile(right);
    return;
  }
  if ((await staleIdentity(claim)) === stale) await removeFile(claim);
  await removeFile(right);
}

/** Tells a stale file from any other that had its name; undefined where there is none. */
async function staleIdentity(path: string): Promise<string | undefined> {
  try {
    const { ino, mtimeMs } = await stat(path);
    const ageMs = Math.abs(Date.now() - mtimeMs);
    const isStale =
      ageMs >= STALE_AFTER_MS || (ageMs >= STALE_OWN_AFTER_MS && (await isOwnerGone(path)));
    return isStale ? `${ino}-${Math.trunc(mtimeMs)}` : undefined;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function isOwnerGone(path: string): Promise<boolean> {
  const [, host, number] = /^(.*):(\d+)\n$/.exec(await readFile(path, "utf8")) ?? [];
  if (host !== hostname()) return false;
  try {
    process.kill(Number(number), 0);
    return false;
  } catch (error) {
    // EPERM: it runs, as another user's.
    return codeOf(error) === "ESRCH";
  }
}
