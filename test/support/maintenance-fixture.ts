/** Levels, snapshots and retention on a live database, at a clock of the test's own. */
import {
  buildMaintenance,
  type MaintenanceOptions,
} from "../../replicator/sync/build-maintenance.ts";
import type { Maintenance } from "../../replicator/compaction/maintenance.ts";
import { Checkpoints } from "../../replicator/sync/checkpoint.ts";
import type { ReplicationEvent } from "../../replicator/sync/events.ts";
import type { Lease } from "../../replicator/sync/lease.ts";
import { keepBundle } from "../../replicator/sync/keep-bundle.ts";
import { Uploader } from "../../replicator/sync/uploader.ts";
import { listAllFiles } from "../../shared/replica/load-plan.ts";
import type { Replica } from "../../shared/replica/ltx-key.ts";
import { CaptureFixture } from "./capture-fixture.ts";
import {
  createLiveDatabase,
  type LiveDatabase,
  type LiveDatabaseOptions,
} from "./live-database.ts";
import { nameOf } from "./replica-fixtures.ts";

interface FixtureOptions extends Omit<MaintenanceOptions, "replica"> {
  /** Under which levels and snapshots are written, and files deleted. */
  readonly lease?: Lease;
  /** An edge bundle is kept up to date. */
  readonly edgeBundle?: boolean;
}

const NEVER = new AbortController().signal;

export class MaintenanceFixture implements Disposable {
  readonly live: LiveDatabase;
  readonly capture: CaptureFixture;
  readonly checkpoints: Checkpoints;
  readonly events: ReplicationEvent[] = [];
  readonly replica: Replica;
  readonly #clock: { nowMs: number };
  readonly #options: FixtureOptions;
  #uploader!: Uploader;
  #maintenance!: Maintenance;

  private constructor(
    live: LiveDatabase,
    capture: CaptureFixture,
    clock: { nowMs: number },
    options: FixtureOptions,
  ) {
    this.live = live;
    this.capture = capture;
    this.replica = capture.replica;
    this.#clock = clock;
    this.#options = options;
    this.checkpoints = new Checkpoints({
      source: capture.source,
      capture: capture.capture,
      captureWhatIsThere: () => this.#stage(),
      stageHeld: async (file) => this.#uploader.add((await file.finish()).txid),
      onCheckpoint: () => undefined,
    });
    this.restart();
  }

  /** The clock is the store's too, where the store is given it: `clock.nowMs`. */
  static async start(
    replica: Replica,
    clock: { nowMs: number },
    options: FixtureOptions & LiveDatabaseOptions = {},
  ): Promise<MaintenanceFixture> {
    const live = createLiveDatabase(options);
    const capture = await CaptureFixture.start(live.path, { replica, now: () => clock.nowMs });
    return new MaintenanceFixture(live, capture, clock, options);
  }

  /** Takes up maintenance anew, as another process does: nothing is remembered. */
  restart(): void {
    const { capture, staging } = this.capture;
    const onEvent = (event: ReplicationEvent) => void this.events.push(event);
    const now = () => this.#clock.nowMs;
    const uploaded = capture.txid;
    const { edgeBundle, lease } = this.#options;
    const keeping = { replica: this.replica, lease, staging, onEvent, now };
    const { replica, bundle } = keepBundle(edgeBundle, keeping);
    this.#uploader = new Uploader({
      replica,
      staging,
      lease: undefined,
      pending: [],
      uploaded,
      onEvent,
      onUploaded: (txid) => this.#maintenance.uploaded(txid),
      onDiverged: () => undefined,
    });
    const context = { ...this.#options, replica, bundle, onEvent, now };
    const { checkpoints } = this;
    this.#maintenance = buildMaintenance(
      context,
      staging,
    )({
      checkpoints,
      capture,
      uploader: this.#uploader,
      ship: () => this.ship(),
    });
    this.#maintenance.uploaded(uploaded);
  }

  /** Commits so often, with a second between two commits, and has it all in the store. */
  async commit(count = 1, sql = "INSERT INTO t (body) VALUES (randomblob(300))"): Promise<void> {
    for (let i = 0; i < count; i++) {
      this.#clock.nowMs += 1_000;
      this.live.exec(sql);
      await this.ship();
    }
  }

  async ship(): Promise<void> {
    await this.#stage();
    await this.#uploader.drainOrFail(NEVER);
  }

  async #stage(): Promise<void> {
    for (const { txid } of await this.capture.captureAll()) this.#uploader.add(txid);
  }

  /** Lets time pass, and does whatever becomes due in it, in steps of five seconds. */
  async pass(ms: number): Promise<void> {
    for (const endMs = this.#clock.nowMs + ms; this.#clock.nowMs < endMs;) {
      this.#clock.nowMs = Math.min(endMs, this.#clock.nowMs + 5_000);
      await this.#maintenance.runDue(NEVER);
    }
  }

  get maintenance(): Maintenance {
    return this.#maintenance;
  }

  /** The names of all files at one level, and of all levels. */
  async level(level: number): Promise<string> {
    const files = await listAllFiles(this.replica);
    return files
      .filter((file) => file.level === level)
      .map(nameOf)
      .join(" ");
  }

  /** The kinds of what was said, without uploads. */
  said(...kinds: ReplicationEvent["event"][]): ReplicationEvent[] {
    return this.events.filter(({ event }) => kinds.includes(event));
  }

  [Symbol.dispose](): void {
    this.capture[Symbol.dispose]();
    this.live[Symbol.dispose]();
  }
}
