import { env, exports } from "cloudflare:workers";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { putReplica } from "../support/workerd/replica.ts";

const shop = inject("shop");

function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return exports.default.fetch(`https://eddy.test${path}`, {
    headers: { authorization: "Bearer test-token", ...headers },
  });
}

beforeAll(async () => {
  await putReplica(env.BUCKET, "shop.db", shop);
});

describe("GET /v1/dbs/:db/query", () => {
  it("answers with the rows and the transaction they were read at", async () => {
    const response = await get(
      `/v1/dbs/shop.db/query?sql=${encodeURIComponent("SELECT id, name, price FROM items ORDER BY id LIMIT 2")}`,
    );
    const text = await response.text();
    console.log(text, [...response.headers]);
    expect(response.status).toBe(200);
  });
});
