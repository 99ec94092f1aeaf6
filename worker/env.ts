/** What the Worker is configured with: bindings, variables and secrets. docs/operations.md lists them. */
export interface Env {
  /** The bucket; absent when a bucket elsewhere is named by `S3_ENDPOINT` and `S3_BUCKET`. */
  readonly BUCKET?: R2Bucket;
  readonly S3_ENDPOINT?: string;
  readonly S3_BUCKET?: string;
  readonly S3_REGION?: string;
  readonly S3_ACCESS_KEY_ID?: string;
  readonly S3_SECRET_ACCESS_KEY?: string;
  /** The one bearer token; with none set the Worker refuses to serve. */
  readonly EDDY_TOKEN?: string;
  /** JSON, name → prefix in the bucket: `{"app":"prod/app.db"}`. */
  readonly DATABASES?: string;
  /** Prefix under which databases are discovered when `DATABASES` is not set. */
  readonly REPLICA_ROOT?: string;
  /** Milliseconds for which the newest known TXID is trusted; 1000 when not set. */
  readonly HEAD_TTL_MS?: string;
  /** Which SQLite runs the queries: `auto`, when not set, `sqljs` or `official`. */
  readonly ENGINE?: string;
  /** `on`: parts of objects are kept in the data centre's cache; `off` when not set. */
  readonly BLOCK_CACHE?: string;
  /** Origins whose pages may call the API, with commas between them; `*`, all, when not set. */
  readonly CORS_ORIGINS?: string;
}
