/** `npm run bench [NAME …]`: prints our figures beside the peers', measured in the same run. */
import { QUIET_WRANGLER } from "../../tools/quiet-wrangler.ts";
import { benchCodec } from "./codec.ts";
import { benchColdPath, benchColdPathLarge } from "./cold-path/cold-path.ts";
import { benchCommitToBucket } from "./commit-to-bucket.ts";
import { benchFirstImage } from "./first-image.ts";
import { benchCommitToQueryable } from "./commit-to-queryable.ts";
import { benchRestore1Gb } from "./restore-1gb.ts";
import { benchRestoreManyFiles } from "./restore-many-files.ts";
import { benchFlatOut } from "./flat-out.ts";
import { benchHourOfLoad } from "./hour-of-load.ts";

const BENCHMARKS: Readonly<Record<string, () => void | Promise<void>>> = {
  codec: benchCodec,
  "cold-path": benchColdPath,
  "cold-path-large": benchColdPathLarge,
  "first-image": benchFirstImage,
  "commit-to-bucket": benchCommitToBucket,
  "commit-to-queryable": benchCommitToQueryable,
  "restore-1gb": benchRestore1Gb,
  "restore-many-files": benchRestoreManyFiles,
  "flat-out": benchFlatOut,
  "hour-of-load": benchHourOfLoad,
};

Object.assign(process.env, QUIET_WRANGLER);
const names = process.argv.slice(2);
const unknown = names.filter((name) => !(name in BENCHMARKS));
if (unknown.length > 0) {
  const known = Object.keys(BENCHMARKS).join(", ");
  console.error(`there is no benchmark "${unknown.join('", "')}": there are ${known}`);
  process.exit(2);
}
console.log("Timings of one machine in one run: trust the ratios, not the milliseconds.");
for (const name of names.length > 0 ? names : Object.keys(BENCHMARKS)) await BENCHMARKS[name]?.();
