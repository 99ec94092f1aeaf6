import type { SqliteBuild } from "./build.ts";
export async function selfTest(_build: SqliteBuild): Promise<void> {}
