/** Reads Prometheus' text format, strictly: a line that is none of it is an error. */

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Exposition {
  /** By the names in the `# TYPE` lines. */
  readonly types: ReadonlyMap<string, string>;
  /** By the names in the samples: a histogram's end in `_bucket`, `_sum` and `_count`. */
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
}

const COMMENT = /^# (TYPE|HELP) ([a-zA-Z_:][\w:]*) (.+)$/;
const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)/;

export function parseExposition(text: string): Exposition {
  const types = new Map<string, string>();
  const samples = new Map<string, Sample[]>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const comment = COMMENT.exec(line);
    if (comment) {
      if (comment[1] === "TYPE") types.set(comment[2], comment[3]);
      continue;
    }
    const sample = SAMPLE.exec(line);
    if (!sample) throw new Error(`not a line of the format: ${line}`);
    const [, name, labels = "", value] = sample;
    const of = samples.get(name) ?? [];
    samples.set(name, of);
    of.push({ labels: parseLabels(labels), value: Number(value) });
  }
  return { types, samples };
}

/** The value of the one sample with these labels; undefined when there is none. */
export function valueOf(
  { samples }: Exposition,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const isMeant = (sample: Sample) =>
    Object.entries(labels).every(([label, value]) => sample.labels[label] === value);
  const found = (samples.get(name) ?? []).filter(isMeant);
  if (found.length > 1) throw new Error(`${found.length} samples of ${name} have these labels`);
  return found[0]?.value;
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text;
  while (rest !== "") {
    const label = LABEL.exec(rest);
    if (!label) throw new Error(`not labels: ${rest}`);
    labels[label[1]] = label[2];
    rest = rest.slice(label[0].length);
  }
  return labels;
}
