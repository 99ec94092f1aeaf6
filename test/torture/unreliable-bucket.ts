import type { ProxiedRequest } from "../support/faulty-proxy.ts";
import { startFaultyProxy, type Fault, type FaultyProxy } from "../support/faulty-proxy.ts";
import type { LocalR2 } from "../support/local-r2.ts";
import type { Random } from "../../tools/demo/random.ts";

/** So many faults wait in the queue at most; each befalls one request. */
const FAULTS_MAX = 6;

/** The local R2 behind a proxy that fails at random, and whose listings may be older than they should be. */
export class UnreliableBucket {
  readonly #r2: LocalR2;
  readonly #proxy: FaultyProxy;
  /** The keys that an old listing shows. */
  #remembered = new Set<string>();

  private constructor(r2: LocalR2, proxy: FaultyProxy) {
    this.#r2 = r2;
    this.#proxy = proxy;
  }

  static async start(r2: LocalR2): Promise<UnreliableBucket> {
    return new UnreliableBucket(r2, await startFaultyProxy(r2.endpoint));
  }

  get env(): Readonly<Record<string, string>> {
    return this.#r2.env;
  }

  /** What the replicator is given. */
  url(path: string): string {
    return this.#r2.storeUrl(path, this.#proxy.url);
  }

  /** The same bucket without a fault, for whoever judges what is in it. */
  soundUrl(path: string): string {
    return this.#r2.storeUrl(path);
  }

  /** From now on an old listing shows what is there at this moment. */
  remember(keys: readonly string[]): void {
    this.#remembered = new Set(keys);
  }

  /** Queues faults of every kind, which befall requests at random from now on. */
  misbehave(random: Random): void {
    this.#proxy.reset();
    const faults = Array.from({ length: 1 + random.below(FAULTS_MAX) }, () => this.#fault(random));
    this.#proxy.fail(...faults);
  }

  behave(): void {
    this.#proxy.reset();
  }

  async close(): Promise<void> {
    await this.#proxy.close();
  }

  #fault(random: Random): Fault {
    const chance = 1 + random.below(6);
    const when = (request: ProxiedRequest) => isPut(request) || random.below(chance) === 0;
    const afterwards = random.below(2) === 0;
    switch (random.below(9)) {
      case 0:
        return { status: 503, body: errorBody("SlowDown"), when, afterwards };
      case 1:
        return { status: 500, body: errorBody("InternalError"), when, afterwards };
      case 2:
        return { status: 429, headers: { "retry-after": "1" }, body: errorBody("SlowDown"), when };
      case 3:
        return { reset: true, when, afterwards };
      case 4:
        return { reset: true, when: isPut, afterwards: true };
      case 5:
        return { breakAfterBytes: random.below(200), when };
      case 6:
        return {
          hang: true,
          when: (request) => isPut(request) && random.below(4) === 0,
          afterwards,
        };
      default:
        return { rewrite: (body) => withoutNewKeys(body, this.#remembered), when: isList };
    }
  }
}

const isPut = ({ method }: ProxiedRequest) => method === "PUT";
const isList = ({ method, target }: ProxiedRequest) =>
  method === "GET" && target.includes("list-type=2");

function errorBody(code: string): string {
  return `<?xml version="1.0"?><Error><Code>${code}</Code><Message>torture</Message></Error>`;
}

function withoutNewKeys(listing: string, known: ReadonlySet<string>): string {
  return listing.replace(/<Contents>.*?<\/Contents>/gs, (entry) => {
    const key = /<Key>(.*?)<\/Key>/s.exec(entry)?.[1] ?? "";
    return known.has(decodeURIComponent(key)) ? entry : "";
  });
}
