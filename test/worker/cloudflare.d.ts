import type * as worker from "../../worker/index.ts";

declare global {
  namespace Cloudflare {
    interface GlobalProps {
      mainModule: typeof worker;
    }
    interface Env {
      BUCKET: R2Bucket;
      EDDY_TOKEN: string;
      ENGINE?: string;
    }
  }
}
