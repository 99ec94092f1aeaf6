/** What goes with a fleet that runs: its control socket, its metrics, its heartbeat. Each is off unless it is configured. */
import type { Config } from "../config/config.ts";
import type { Metrics } from "../metrics/metrics.ts";
import { MetricsServer } from "../metrics/metrics-server.ts";
import { eddyVersion } from "../version.ts";
import { ControlServer } from "./control-server.ts";
import type { ControlTarget } from "./controlled-database.ts";
import { Heartbeat, type Beat } from "./heartbeat.ts";

export interface ServicesOptions {
  readonly config: Pick<Config, "socket" | "metricsAddress" | "heartbeat">;
  readonly target: ControlTarget;
  /** Where there is an address for them. */
  readonly metrics: Metrics | undefined;
  readonly onBeat: (beat: Beat) => void;
}

/**
 * Starts them. Disposed of, they end: the last that was started first.
 *
 * @throws {ReplicaError} As their starts; what was started before is ended again.
 */
export async function startServices({
  config,
  target,
  metrics,
  onBeat,
}: ServicesOptions): Promise<AsyncDisposable> {
  const { socket, metricsAddress, heartbeat } = config;
  await using started = new AsyncDisposableStack();
  if (socket.isEnabled) {
    const { path: socketPath, permissions } = socket;
    const options = { target, version: eddyVersion(), socketPath, permissions };
    started.use(await ControlServer.start(options));
  }
  if (metricsAddress !== undefined && metrics)
    started.use(await MetricsServer.start(metricsAddress, metrics));
  if (heartbeat) {
    started.use(Heartbeat.start({ ...heartbeat, databases: () => target.databases(), onBeat }));
  }
  return started.move();
}
