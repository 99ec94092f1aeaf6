import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { openReplica } from "../../replicator/storage/open-store.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { seededRandom, type Random } from "../../tools/demo/random.ts";
import { contentOf } from "../support/database-equality.ts";
import { damageStaging, removeAtOnce, stagingOf } from "./damage.ts";
import { checkRestored, removeRestored, ReplicaJudge, type Promised } from "./judge.ts";
import { startReplicator, restoreWith, type Contender, type ReplicatorLife } from "./contender.ts";
import type { UnreliableBucket } from "./unreliable-bucket.ts";
import { letRun } from "./let-run.ts";
import { keepObjects } from "./keep-objects.ts";
import { chooseClock, chooseSetting, describeSetting, type Setting } from "./setting.ts";
import { Writer } from "./writer.ts";

/** A predecessor's lease, whose record went with the staging directory, has run out by then. */
const REST_MS_MAX = 60_000;
const EXIT_OTHER_WRITER = 5;

export interface SeriesOptions {
  readonly seed: number;
  readonly rounds: number;
  /** Made, and removed at the end unless something was wrong. */
  readonly folder: string;
  readonly keep: boolean;
  readonly contender: Contender;
  /** Undefined: a folder is the store. */
  readonly bucket: UnreliableBucket | undefined;
  /** No round begins after it fires. */
  readonly signal: AbortSignal;
}

export interface SeriesReport {
  readonly seed: number;
  readonly setting: string;
  readonly rounds: number;
  readonly commits: number;
  readonly txids: number;
  /** How often a replicator ended by itself, by its exit code. */
  readonly ownEnds: Readonly<Record<string, number>>;
  /** What did not hold; undefined when all did. */
  readonly failure: string | undefined;
}

/** One database and its replica, through some rounds. */
export async function runSeries(options: SeriesOptions): Promise<SeriesReport> {
  const series = new Series(options);
  return await series.run();
}

class Series {
  readonly #options: SeriesOptions;
  readonly #random: Random;
  readonly #databasePath: string;
  readonly #writer: Writer;
  readonly #judge: ReplicaJudge;
  readonly #url: string;
  readonly #soundUrl: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #replica: Replica;
  readonly #setting: Setting;
  readonly #description: string;
  readonly #ownEnds: Record<string, number> = {};
  #promised: Promised = { txid: 0n, commit: 0 };
  #isWriterAlive = false;
  #rounds = 0;
  #restores = 0;

  constructor(options: SeriesOptions) {
    const { seed, folder, bucket } = options;
    this.#options = options;
    const random = seededRandom(seed);
    this.#random = random;
    mkdirSync(folder, { recursive: true });
    this.#databasePath = join(folder, "app.db");
    this.#setting = chooseSetting(random);
    this.#writer = new Writer(this.#databasePath, { seed, ...this.#setting });
    const path = `torture-${seed}/app.db`;
    this.#url = bucket?.url(path) ?? `file://${join(folder, "replica")}`;
    this.#soundUrl = bucket?.soundUrl(path) ?? this.#url;
    this.#env = bucket?.env ?? {};
    this.#replica = openReplica(this.#soundUrl, { env: this.#env, writing: false });
    this.#judge = new ReplicaJudge(this.#replica);
    this.#description = describeSetting(this.#setting, bucket ? "bucket" : "folder");
  }

  async run(): Promise<SeriesReport> {
    const { rounds, folder, signal } = this.#options;
    let failure: string | undefined;
    try {
      while (this.#rounds < rounds && !signal.aborted) {
        await this.#round();
        this.#rounds++;
      }
      await this.#finish();
      await this.#writer.end();
    } catch (error) {
      failure = String((error as Error).stack ?? error);
      this.#note(`FAILED: ${failure}`);
      await this.#writer.kill().catch(() => undefined);
      const isCopied = this.#options.bucket && keepObjects(this.#replica, join(folder, "objects"));
      await isCopied?.catch((cause: unknown) => this.#note(`no copy: ${String(cause)}`));
    }
    const files = failure === undefined ? await this.#judge.files() : [];
    if (failure === undefined && !this.#options.keep)
      rmSync(folder, { recursive: true, force: true });
    return {
      seed: this.#options.seed,
      setting: this.#description,
      rounds: this.#rounds,
      commits: this.#writer.commit,
      txids: files.filter(({ level }) => level === 0).length,
      ownEnds: this.#ownEnds,
      failure,
    };
  }

  async #round(): Promise<void> {
    const random = this.#random;
    const { bucket } = this.#options;
    this.#note(`round ${this.#rounds + 1}: ${this.#description}`);
    if (!this.#isWriterAlive) await this.#startWriter();
    if (random.below(3) === 0) {
      this.#note(damageStaging(stagingOf(this.#databasePath), random));
    }
    if (bucket) {
      bucket.remember((await this.#judge.files()).map(({ key }) => key));
      if (random.below(3) > 0) bucket.misbehave(random);
    }
    this.#writer.write();
    // A signature that is too old or too young would be refused.
    const life = this.#start(chooseClock(random, bucket ? 240_000 : 3 * 86_400_000));
    await letRun(life, random, this.#setting);
    await this.#disturb(life);
    await letRun(life, random, this.#setting);
    if (random.below(2) === 0) await this.#askToSync(life);
    await this.#end(life);
    if (this.#isWriterAlive) {
      // What a replicator that is away cannot see is what it must not miss.
      if (random.below(2) === 0)
        await this.#writer.untilCommit(this.#writer.commit + random.below(40));
      await this.#writer.pause();
    }
    bucket?.behave();
    await this.#check();
  }

  #start(clock: string): ReplicatorLife {
    return startReplicator(this.#options.contender, {
      databasePath: this.#databasePath,
      url: this.#url,
      env: this.#env,
      syncIntervalMs: this.#setting.syncIntervalMs,
      levelIntervalsMs: this.#setting.levelIntervalsMs,
      clock,
    });
  }

  /** What happens to a running replicator beside its end. */
  async #disturb(life: ReplicatorLife): Promise<void> {
    const random = this.#random;
    if (random.below(8) === 0 && life.isRunning) {
      this.#note("removed the staging directory of a running replicator");
      removeAtOnce(join(stagingOf(this.#databasePath), "ltx"));
    }
    if (random.below(5) === 0) {
      this.#note("killed the writer");
      await this.#writer.kill();
      this.#isWriterAlive = false;
      if (random.below(2) === 0) {
        await this.#startWriter();
        this.#writer.write();
      }
    }
  }

  async #askToSync(life: ReplicatorLife): Promise<void> {
    const { commit } = this.#writer;
    const txid = await life.sync(2_500);
    if (txid === undefined) return;
    this.#note(`commit ${commit} is in TXID ${txid}, and in the store`);
    this.#promise({ txid, commit });
  }

  async #end(life: ReplicatorLife): Promise<void> {
    const isGraceful = this.#random.below(5) === 0 && this.#isWriterAlive;
    if (isGraceful) await this.#writer.pause();
    const { commit } = this.#writer;
    const status = await life.end(isGraceful ? "SIGTERM" : "SIGKILL");
    for (const event of life.events) this.#note(JSON.stringify(event));
    this.#note(`${isGraceful ? "stopped" : "killed"} the replicator: ${status}; ${life.errors}`);
    this.#promise({ txid: life.uploaded, commit: isGraceful && status === 0 ? commit : 0 });
    this.#judgeEnd(life);
  }

  /** A replicator may end by itself with a sentence, where the store or another writer gives reason to. */
  #judgeEnd(life: ReplicatorLife): void {
    const { ownEnd } = life;
    if (!ownEnd) return;
    const code = `${ownEnd.status}: ${ownEnd.errors.split("\n", 1)[0]?.slice(0, 120)}`;
    this.#ownEnds[code] = (this.#ownEnds[code] ?? 0) + 1;
    const isCrash = /^\s+at /m.test(ownEnd.errors) && !/^ReplicaError/m.test(ownEnd.errors);
    assert.ok(!isCrash, `the replicator crashed: ${ownEnd.errors}`);
  }

  #promise({ txid, commit }: Promised): void {
    const before = this.#promised;
    this.#promised = {
      txid: txid > before.txid ? txid : before.txid,
      commit: Math.max(commit, before.commit),
    };
  }

  async #check(): Promise<void> {
    // Killed before it was done: then its last transaction is seen, and told, at its next start.
    if (!this.#isWriterAlive) await this.#startWriter();
    const files = await this.#judge.files();
    if (this.#options.contender === "litestream") {
      if (files.some(({ maxTxid }) => maxTxid > 0n)) await this.#restore();
      return;
    }
    await this.#judge.check(this.#promised);
    const newest = files.findLast(({ level }) => level === 0)?.maxTxid ?? 0n;
    if (newest === 0n) return;
    const { commit, txid } = await this.#restore();
    assert.ok(
      txid >= this.#promised.txid,
      `restored TXID ${txid}; ${this.#promised.txid} was promised`,
    );
    assert.ok(
      commit >= this.#promised.commit,
      `restored commit ${commit}; ${this.#promised.commit} was promised`,
    );
    if (this.#random.below(3) === 0) {
      await this.#restore(this.#random.pick(await this.#judge.restorable()));
    }
  }

  /** The writer is silent, the store sound: the replica comes to equal the database. */
  async #finish(): Promise<void> {
    if (!this.#isWriterAlive) await this.#startWriter();
    const endMs = performance.now() + REST_MS_MAX;
    for (;;) {
      const life = this.#start("");
      await life.until(() => life.events.some(({ event }) => event === "started"), 20_000);
      const status = await life.end("SIGTERM", REST_MS_MAX);
      for (const event of life.events) this.#note(JSON.stringify(event));
      this.#promise({ txid: life.uploaded, commit: 0 });
      if (status === 0) break;
      this.#note(`at the end: ${status}; ${life.errors}`);
      const mayWait = status === EXIT_OTHER_WRITER && performance.now() < endMs;
      assert.ok(mayWait, `the replicator does not come to rest: ${status}; ${life.errors}`);
      // A lease from another time of the clock, its record gone: what a person is told to do.
      const key = /delete \\?"([^"\\]+)\\?" when/.exec(life.errors)?.[1];
      if (key !== undefined) await this.#replica.store.delete([key]);
    }
    this.#promise({ txid: 0n, commit: this.#writer.commit });
    await this.#check();
    if (this.#options.contender === "eddy") await this.#judge.checkContent();
    const path = this.#nextOutput();
    const { commit } = await this.#restoreTo(path);
    assert.equal(commit, this.#writer.commit, "the last commits did not get into the store");
    assert.deepEqual(contentOf(path), contentOf(this.#databasePath));
    removeRestored(path);
  }

  async #restore(txid?: bigint): Promise<{ commit: number; txid: bigint }> {
    const path = this.#nextOutput();
    const restored = await this.#restoreTo(path, txid);
    removeRestored(path);
    return restored;
  }

  async #restoreTo(path: string, txid?: bigint): Promise<{ commit: number; txid: bigint }> {
    const { contender } = this.#options;
    const byCommand = this.#random.below(4) === 0;
    const place = { url: this.#soundUrl, env: this.#env, path };
    const found = await restoreWith(contender, { ...place, txid, byCommand });
    const commit = checkRestored(path, this.#writer);
    this.#note(`restored ${txid === undefined ? "" : `of TXID ${txid} `}commit ${commit}`);
    return { commit, txid: found };
  }

  #nextOutput(): string {
    return join(this.#options.folder, `restored-${++this.#restores}.db`);
  }

  async #startWriter(): Promise<void> {
    await this.#writer.start();
    this.#isWriterAlive = true;
  }

  #note(text: string): void {
    appendFileSync(
      join(this.#options.folder, "log.txt"),
      `${performance.now().toFixed(0)} ${text}\n`,
    );
  }
}
