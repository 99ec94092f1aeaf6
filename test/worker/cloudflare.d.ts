declare namespace Cloudflare {
  interface GlobalProps {
    mainModule: typeof import("../../worker/index.ts");
  }
  interface Env {
    BUCKET: R2Bucket;
    EDDY_TOKEN: string;
  }
}
