/**
 * What every store keeps, as tests. They run in Node and in workerd, so nothing here imports
 * anything of either.
 */
import { beforeEach, describe } from "vitest";
import type { ObjectStore } from "../../shared/storage/object-store.ts";
import { describeCancelling, describeInterrupting } from "./object-store-contract/cancelling.ts";
import { describeConditions } from "./object-store-contract/conditions.ts";
import type { ContractOptions } from "./object-store-contract/context.ts";
import { describeDeleting } from "./object-store-contract/deleting.ts";
import { describeListing } from "./object-store-contract/listing.ts";
import { describeReading } from "./object-store-contract/reading.ts";
import { describeWriting } from "./object-store-contract/writing.ts";

/** Registers the contract's tests for one store. */
export function describeObjectStore(name: string, options: ContractOptions): void {
  describe(`${name} as an object store`, () => {
    let store: ObjectStore;
    beforeEach(async () => {
      store = await options.open({});
    });
    const context = () => ({ store, options });
    describeReading(context);
    describeWriting(context);
    describeConditions(context);
    describeListing(context);
    describeDeleting(context);
    describeCancelling(context);
    if (options.cancelsInFlight) describeInterrupting(context);
  });
}
