/** What the help of every command that takes a replica says of its URL. */
export const URLS = `
Replica URLs:
  r2://ACCOUNT_ID/bucket/path                               Cloudflare R2
  s3://bucket/path?endpoint=https://…&region=…              any S3 store: R2, MinIO, B2, Tigris, AWS
  file:///var/backups/app                                   a folder

Credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or LITESTREAM_ in place of AWS_.`;
