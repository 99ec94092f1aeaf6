import { ReplicaError } from "../../shared/errors.ts";
import type { ControlledDatabase } from "./controlled-database.ts";
import { every, type Wait } from "./every.ts";

/** Litestream's default, in milliseconds. */
const INTERVAL_MS = 5 * 60_000;
/** And its minimum: whoever listens expects minutes. */
const INTERVAL_MS_MIN = 60_000;
/** So long may the store take to show that all is there, and whoever listens to answer, in milliseconds. */
const TIMEOUT_MS = 30_000;

/** What became of one heartbeat. */
export type Beat =
  | { readonly kind: "sent" }
  /** Not all databases are in the store: whoever listens is to notice. */
  | { readonly kind: "withheld"; readonly reason: string }
  /** It is tried again after the interval. */
  | { readonly kind: "failed"; readonly message: string };

export interface HeartbeatOptions {
  /** Fetched by GET; what it answers counts only as far as it is a success. */
  readonly url: string;
  readonly intervalMs?: number | undefined;
  readonly databases: () => readonly ControlledDatabase[];
  readonly onBeat?: (beat: Beat) => void;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  readonly timeoutMs?: number;
  readonly wait?: Wait;
}

/** Tells a URL once an interval that all databases are in the store, and is silent when one is not. */
export class Heartbeat {
  readonly #url: URL;
  readonly #intervalMs: number;
  readonly #databases: () => readonly ControlledDatabase[];
  readonly #now: () => number;
  readonly #timeoutMs: number;

  /** @throws {ReplicaError} `BAD_CONFIG` for a URL that is none, and an interval of less than a minute. */
  constructor({
    url,
    intervalMs = INTERVAL_MS,
    databases,
    now = Date.now,
    timeoutMs = TIMEOUT_MS,
  }: Omit<HeartbeatOptions, "onBeat" | "wait">) {
    if (intervalMs < INTERVAL_MS_MIN) {
      throw new ReplicaError(
        "BAD_CONFIG",
        `heartbeat-interval is ${intervalMs / 1_000} s: it must be a minute or more`,
      );
    }
    this.#url = parseUrl(url);
    this.#intervalMs = intervalMs;
    this.#databases = databases;
    this.#now = now;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Begins, with the first beat after one interval; ends when the result is disposed of.
   *
   * @throws {ReplicaError} As the constructor.
   */
  static start({ onBeat = () => undefined, wait, ...options }: HeartbeatOptions): AsyncDisposable {
    const heartbeat = new Heartbeat(options);
    const task = async (signal: AbortSignal) => {
      const beat = await heartbeat.beat(signal);
      if (!signal.aborted) onBeat(beat);
    };
    return every({ intervalMs: heartbeat.#intervalMs, task, wait });
  }

  /** One beat, now. */
  async beat(signal: AbortSignal): Promise<Beat> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)]);
    const databases = this.#databases();
    if (databases.length === 0) return { kind: "withheld", reason: "no database is replicated" };
    const looks = databases.map((database) => this.#whatIsMissing(database, limited));
    const reason = (await Promise.all(looks)).find((each) => each !== undefined);
    if (reason !== undefined) return { kind: "withheld", reason };
    return await this.#send(signal);
  }

  /** Undefined when all of it was in the store within the interval, or is now. */
  async #whatIsMissing(
    database: ControlledDatabase,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { path, status, error, lastSyncAtMs } = database;
    if (status === "stopped") return `${path} is stopped${error === undefined ? "" : `: ${error}`}`;
    const isRecent = lastSyncAtMs !== undefined && this.#now() - lastSyncAtMs <= this.#intervalMs;
    if (isRecent) return undefined;
    try {
      // A database in which nothing happens costs no request, and is as safe as any.
      await database.sync({ wait: true, signal });
      return undefined;
    } catch (cause) {
      return `${path} is not in the store: ${(cause as Error).message}`;
    }
  }

  async #send(signal: AbortSignal): Promise<Beat> {
    const limited = AbortSignal.any([signal, AbortSignal.timeout(this.#timeoutMs)]);
    try {
      const response = await fetch(this.#url, { signal: limited });
      await response.body?.cancel();
      if (response.ok) return { kind: "sent" };
      return this.#failed(`it answered ${response.status}`);
    } catch (error) {
      const { message, cause } = error as Error;
      return this.#failed(cause instanceof Error ? cause.message : message);
    }
  }

  /** Of the URL the host only: what follows is often a secret. */
  #failed(why: string): Beat {
    return { kind: "failed", message: `no heartbeat to ${this.#url.host}: ${why}` };
  }
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url && (url.protocol === "https:" || url.protocol === "http:")) return url;
  throw new ReplicaError(
    "BAD_CONFIG",
    `heartbeat-url is no address that can be fetched: it begins with https:// or http://`,
  );
}
