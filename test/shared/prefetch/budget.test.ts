import { expect, test } from "vitest";
import { PrefetchBudget } from "../../../shared/replica/prefetch/budget.ts";

test("what comes and goes before it is used was fetched for nothing", () => {
  const budget = new PrefetchBudget({
    pageSize: 512,
    slackBytes: 1_000,
    sureBytesMax: 400,
    frameBytes: () => 100,
  });
  budget.fetch(1, "sure");
  expect([budget.leftSureBytes, budget.leftBytes]).toEqual([300, 1_000]);
  budget.fetch(1, "sure");
  expect([budget.leftSureBytes, budget.leftBytes]).toEqual([300, 900]);
  budget.use(1);
  expect([budget.leftSureBytes, budget.leftBytes]).toEqual([400, 1_000]);
});
