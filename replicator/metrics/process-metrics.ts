import { readdirSync } from "node:fs";
import { Counter, Gauge, type Registry } from "prom-client";

/**
 * Adds what every Prometheus client tells of its process. Not the library's own set: that keeps a timer
 * of 10 ms running, and a quiet replicator is to be quiet.
 */
export function addProcessMetrics(registry: Registry): void {
  const registers = [registry];
  const startedAtSeconds = Date.now() / 1_000 - process.uptime();
  let countedSeconds = 0;
  void new Counter({
    name: "process_cpu_seconds_total",
    help: "Total user and system CPU time spent in seconds.",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      const seconds = (user + system) / 1e6;
      this.inc(seconds - countedSeconds);
      countedSeconds = seconds;
    },
  });
  void new Gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory size in bytes.",
    registers,
    collect() {
      this.set(process.memoryUsage.rss());
    },
  });
  void new Gauge({
    name: "process_start_time_seconds",
    help: "Start time of the process since unix epoch in seconds.",
    registers,
    collect() {
      this.set(startedAtSeconds);
    },
  });
  if (process.platform !== "linux") return;
  void new Gauge({
    name: "process_open_fds",
    help: "Number of open file descriptors.",
    registers,
    collect() {
      this.set(readdirSync("/proc/self/fd").length);
    },
  });
}
