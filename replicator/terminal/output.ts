/** What the commands print: answers to stdout, everything else to stderr. */
import { ReplicaError } from "../../shared/errors.ts";

export function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** One JSON value on one line. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

/** Something for people to know while a command runs. */
export function printNotice(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** An error of the command line itself: exit code 2. */
export function usageError(message: string): ReplicaError {
  return new ReplicaError("BAD_CONFIG", message);
}
