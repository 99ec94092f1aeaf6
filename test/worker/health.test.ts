import { exports } from "cloudflare:workers";
import { expect, it } from "vitest";

it("says that it lives without touching the bucket", async () => {
  const response = await exports.default.fetch("https://eddy.test/healthz");
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ status: "ok" });
});
