import { readFileSync } from "node:fs";

/** What Linux says of a process that still runs. */
export function usageOf(pid: number): {
  readonly peakBytes: number;
  readonly residentBytes: number;
  readonly cpuSeconds: number;
} {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const peakKib = Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]);
  // Behind the command's name in parentheses: user and system time are fields 14 and 15, in ticks of 10 ms.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  const residentKib = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  return {
    peakBytes: peakKib * 1024,
    residentBytes: residentKib * 1024,
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100,
  };
}
