/** What a replicator says while it runs: sentences for people, or JSON for whoever collects logs. */
import { writeSync } from "node:fs";
import type { LogLevel } from "../config/config.ts";

export interface LogOptions {
  /** What is less important is left out. */
  readonly level: LogLevel;
  readonly type: "text" | "json";
  /** 1 or 2. */
  readonly fd: number;
}

/** Says one thing; `fields` are for machines, and only in JSON. */
export type Log = (
  level: LogLevel,
  sentence: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

const LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error"];

/** Opens the log. Every line is written before the call returns: the process may end right after it. */
export async function openLog({ level, type, fd }: LogOptions): Promise<Log> {
  if (type === "text") {
    const least = LEVELS.indexOf(level);
    return (given, sentence) => {
      if (LEVELS.indexOf(given) >= least) writeSync(fd, `${sentence}\n`);
    };
  }
  // Other commands do without it, and start sooner.
  const { pino } = await import("pino");
  const logger = pino(
    {
      level,
      base: { pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination({ dest: fd, sync: true }),
  );
  return (given, sentence, fields = {}) => logger[given](fields, sentence);
}
