import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Heartbeat, type Beat } from "../../../replicator/control/heartbeat.ts";
import { ControlFixture } from "../../support/control-fixture.ts";
import { closedStore, type ClosedStore } from "../../support/closed-store.ts";
import { manualWait } from "../../support/manual-wait.ts";

const MINUTE_MS = 60_000;
const never = new AbortController().signal;

let listener: Server;
let url: string;
let status: number;
let requests: string[];
let nowMs: number;
let fixture: ControlFixture;
let gate: ClosedStore;
beforeEach(async () => {
  requests = [];
  status = 200;
  nowMs = Date.now();
  listener = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    response.writeHead(status).end("thanks");
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}/ping/secret`;
  fixture = await ControlFixture.start({
    now: () => nowMs,
    wrap: (replica) => ({ ...replica, store: (gate = closedStore(replica.store)) }),
  });
});
afterEach(async () => {
  gate.open();
  await fixture[Symbol.asyncDispose]();
  listener.closeAllConnections();
  listener.close();
});

function heartbeat(timeoutMs?: number): Heartbeat {
  return new Heartbeat({
    url,
    intervalMs: 5 * MINUTE_MS,
    databases: () => fixture.target.databases(),
    now: () => nowMs,
    ...(timeoutMs !== undefined && { timeoutMs }),
  });
}

describe("a heartbeat", () => {
  it("is sent when all that is committed is in the store", async () => {
    gate.open();
    expect(await heartbeat().beat(never)).toEqual({ kind: "sent" });
    expect(requests).toEqual(["GET /ping/secret"]);
    fixture.app.exec("INSERT INTO t (body) VALUES ('later')");
    nowMs += 6 * MINUTE_MS;
    expect(await heartbeat().beat(never)).toEqual({ kind: "sent" });
    const [database] = fixture.target.databases();
    expect(database.state).toMatchObject({ waiting: 0 });
    expect(database.state.uploaded).toBeGreaterThan(1n);
  });

  it("is withheld when the store does not take what is committed, and names the database", async () => {
    expect(await heartbeat(50).beat(never)).toEqual({
      kind: "withheld",
      reason: expect.stringContaining(`${fixture.at("app.db")} is not in the store`),
    });
    expect(requests).toEqual([]);
  });

  it("is withheld when one of several databases is stopped, and when there is none", async () => {
    gate.open();
    fixture.open("second.db");
    const second = fixture.at("second.db");
    await fixture.target.register(second, fixture.replicaUrl("second.db"));
    gate.open();
    await fixture.target.stop(second);
    expect(await heartbeat().beat(never)).toEqual({
      kind: "withheld",
      reason: `${second} is stopped`,
    });
    await fixture.target.unregister(second);
    await fixture.target.unregister(fixture.at("app.db"));
    expect(await heartbeat().beat(never)).toMatchObject({ kind: "withheld" });
    expect(requests).toEqual([]);
  });

  it("that is not answered with success is a failure, and does not tell the secret", async () => {
    gate.open();
    status = 503;
    const { host } = new URL(url);
    expect(await heartbeat().beat(never)).toEqual({
      kind: "failed",
      message: `no heartbeat to ${host}: it answered 503`,
    });
    listener.closeAllConnections();
    listener.close();
    const failed = await heartbeat().beat(never);
    expect(failed).toEqual({ kind: "failed", message: expect.stringContaining("ECONNREFUSED") });
    expect(JSON.stringify(failed)).not.toContain("secret");
  });

  it("comes once an interval, the first after one, until it is disposed of", async () => {
    gate.open();
    const time = manualWait();
    const beats: Beat[] = [];
    const running = Heartbeat.start({
      url,
      databases: () => fixture.target.databases(),
      onBeat: (beat) => beats.push(beat),
      wait: time.wait,
    });
    for (let expected = 1; expected <= 3; expected++) {
      expect(await time.waited()).toBe(5 * MINUTE_MS);
      expect(beats).toHaveLength(expected - 1);
      time.pass();
    }
    await time.waited();
    await running[Symbol.asyncDispose]();
    expect(beats).toEqual([{ kind: "sent" }, { kind: "sent" }, { kind: "sent" }]);
    expect(requests).toHaveLength(3);
  });

  it.each([
    ["an interval of less than a minute", { intervalMs: 59_000 }, "a minute or more"],
    ["a URL of another kind", { url: "ftp://example.com" }, "https://"],
    ["no URL at all", { url: "ping" }, "https://"],
  ])("is refused with %s", (_name, wrong, message) => {
    const start = () => new Heartbeat({ url, databases: () => [], ...wrong });
    expect(start).toThrow(
      expect.objectContaining({ code: "BAD_CONFIG", message: expect.stringContaining(message) }),
    );
  });
});
