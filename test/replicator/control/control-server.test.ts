import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { createConnection } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ControlServerOptions } from "../../../replicator/control/control-server.ts";
import { ControlFixture } from "../../support/control-fixture.ts";
import { closedStore, type ClosedStore } from "../../support/closed-store.ts";

let fixture: ControlFixture;
beforeEach(async () => {
  fixture = await ControlFixture.start();
});
afterEach(() => fixture[Symbol.asyncDispose]());

/** What a client sends that waits for the store. */
function waiting(): object {
  return { path: fixture.at("app.db"), wait: true };
}

interface Answer {
  readonly status: number | undefined;
  readonly allow: string | undefined;
  readonly body: unknown;
}

/** One request on a connection of its own; a string is sent as it stands. */
async function ask(method: string, path: string, body?: object | string): Promise<Answer> {
  const { socketPath } = fixture;
  const request = httpRequest({ socketPath, path, method, agent: false });
  request.end(typeof body === "object" ? JSON.stringify(body) : body);
  const [response] = (await once(request, "response")) as [IncomingMessage];
  const text = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>)).toString();
  const { statusCode: status, headers } = response;
  return { status, allow: headers.allow, body: text === "" ? undefined : JSON.parse(text) };
}

describe("the control server", () => {
  it("lets its owner connect and nobody else", () => {
    expect(statSync(fixture.socketPath).mode & 0o777).toBe(0o600);
  });

  it("says who it is", async () => {
    const { status, body } = await ask("GET", "/info");
    expect(status).toBe(200);
    expect(body).toEqual({
      version: "1.2.3",
      pid: process.pid,
      uptime_seconds: expect.any(Number),
      started_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      database_count: 1,
    });
  });

  it("ships what is committed, and answers when it is in the store", async () => {
    const path = fixture.at("app.db");
    await ask("POST", "/sync", { path, wait: true });
    fixture.app.exec("INSERT INTO t (body) VALUES ('three')");
    const { status, body } = await ask("POST", "/sync", { path, wait: true, timeout: 10 });
    const txid = Number(fixture.target.find(path)!.state.uploaded);
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        status: expect.stringMatching(/synced|no_change/),
        path,
        txid,
        replicated_txid: txid,
      },
    });
    expect(txid).toBeGreaterThan(1);
    expect(await ask("POST", "/sync", { path, wait: true })).toMatchObject({
      body: { status: "no_change", txid },
    });
    expect(await ask("GET", `/txid?path=${encodeURIComponent(path)}`)).toMatchObject({
      status: 200,
      body: { txid },
    });
    expect((await ask("GET", "/list")).body).toEqual({
      databases: [{ path, status: "replicating", last_sync_at: expect.stringMatching(/Z$/) }],
    });
  });

  it("stops a database, refuses to sync it then, and starts it again", async () => {
    const path = fixture.at("app.db");
    expect(await ask("POST", "/stop", { path })).toMatchObject({
      status: 200,
      body: { status: "stopped", path, txid: 1 },
    });
    expect(await ask("POST", "/stop", { path })).toMatchObject({
      body: { status: "already_stopped", path, txid: 1 },
    });
    expect(await ask("GET", "/list")).toMatchObject({
      body: { databases: [{ path, status: "stopped" }] },
    });
    expect(await ask("POST", "/sync", { path, wait: true })).toMatchObject({
      status: 409,
      body: { error: expect.stringContaining(`database not open: ${path}`) },
    });
    expect(await ask("POST", "/start", { path })).toMatchObject({
      status: 200,
      body: { status: "started", path },
    });
    expect(await ask("POST", "/start", { path })).toMatchObject({
      body: { status: "already_running", path },
    });
    expect(await ask("POST", "/sync", { path, wait: true })).toMatchObject({ status: 200 });
  });

  it("takes a database on, and forgets it after a last sync", async () => {
    fixture.open("second.db");
    const path = fixture.at("second.db");
    const request = { path, replica_url: fixture.replicaUrl("second.db") };
    expect(await ask("POST", "/register", request)).toEqual({
      status: 200,
      allow: undefined,
      body: { status: "registered", path },
    });
    expect(await ask("POST", "/register", request)).toMatchObject({
      status: 200,
      body: { status: "already_registered", path },
    });
    const elsewhere = { path, replica_url: fixture.replicaUrl("elsewhere.db") };
    expect(await ask("POST", "/register", elsewhere)).toMatchObject({
      status: 409,
      body: { error: expect.stringContaining("unregister it first") },
    });
    expect(await ask("POST", "/unregister", { path })).toMatchObject({
      status: 200,
      body: { status: "unregistered", path, txid: 1 },
    });
    expect(existsSync(fixture.at("replicas/second.db/ltx/0"))).toBe(true);
    expect(await ask("POST", "/unregister", { path })).toMatchObject({
      status: 200,
      body: { status: "already_unregistered", path, txid: 0 },
    });
    expect(await ask("GET", "/info")).toMatchObject({ body: { database_count: 1 } });
  });

  it.each([
    ["no path", "/sync", {}, 400, "path required"],
    ["a path that is no string", "/sync", { path: 5 }, 400, "path must be a string"],
    ["a wait that is no truth", "/sync", { path: "x", wait: "yes" }, 400, "wait must be"],
    ["a negative time-out", "/sync", { path: "x", timeout: -1 }, 400, "timeout must be"],
    ["a time-out of weeks", "/sync", { path: "x", timeout: 1e6 }, 400, "timeout must be"],
    ["a list", "/sync", "[]", 400, "JSON object"],
    ["what is not JSON", "/sync", "xx", 400, "invalid request body"],
    ["nothing", "/sync", "", 400, "invalid request body"],
    ["a long body", "/sync", "x".repeat(70_000), 400, "longer than 65536 bytes"],
    ["a stranger, to sync", "/sync", { path: "/nope.db" }, 404, "database not found: /nope.db"],
    ["a stranger, to start", "/start", { path: "/nope.db" }, 404, "database not found"],
    ["a stranger, to stop", "/stop", { path: "/nope.db" }, 404, "database not found"],
    ["a database without a replica", "/register", { path: "/n.db" }, 400, "replica_url required"],
    [
      "a replica of a kind that there is not",
      "/register",
      { path: "/n.db", replica_url: "bogus://x" },
      400,
      "bogus",
    ],
  ])("refuses %s with a sentence", async (_name, path, body, status, error) => {
    const answer = await ask("POST", path, body);
    expect(answer).toMatchObject({ status, body: { error: expect.stringContaining(error) } });
    expect(await ask("GET", "/info")).toMatchObject({ status: 200 });
  });

  it("refuses other paths and methods, and a TXID of nothing", async () => {
    expect(await ask("GET", "/nothing")).toMatchObject({ status: 404 });
    expect(await ask("GET", "//")).toMatchObject({ status: 400 });
    expect(await ask("GET", "/sync")).toMatchObject({ status: 405, allow: "POST" });
    expect(await ask("POST", "/list", {})).toMatchObject({ status: 405, allow: "GET, HEAD" });
    expect(await ask("GET", "/txid")).toMatchObject({ status: 400 });
    expect(await ask("GET", "/txid?path=/nope")).toMatchObject({ status: 404 });
  });
});

describe("a control server whose store does not answer", () => {
  let gate: ClosedStore;
  /** Resolves with the signal of the next sync that the server asks for. */
  let asked: PromiseWithResolvers<AbortSignal>;

  async function startGated(options: Partial<ControlServerOptions> = {}): Promise<void> {
    await fixture[Symbol.asyncDispose]();
    fixture = await ControlFixture.start({
      ...options,
      wrap: (replica) => ({ ...replica, store: (gate = closedStore(replica.store)) }),
    });
    asked = Promise.withResolvers();
    const [database] = fixture.target.databases();
    const sync = database.sync.bind(database);
    database.sync = (request) => {
      asked.resolve(request.signal);
      return sync(request);
    };
  }
  // A replicator that ends ships what is left.
  afterEach(() => gate.open());

  it("ends what is done for a client that has left", async () => {
    await startGated();
    const body = JSON.stringify(waiting());
    const client = createConnection(fixture.socketPath);
    client.write(
      `POST /sync HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    const signal = await asked.promise;
    expect(signal.aborted).toBe(false);
    const left = once(signal, "abort");
    client.destroy();
    await left;
  });

  it("says so when something takes longer than it may", async () => {
    await startGated();
    expect(await ask("POST", "/sync", { ...waiting(), timeout: 0.01 })).toMatchObject({
      status: 500,
      body: { error: expect.stringContaining("not done within 0.01 s") },
    });
  });

  it("lets what is under way end when it is closed, and leaves no socket", async () => {
    await startGated();
    const answer = ask("POST", "/sync", waiting());
    await asked.promise;
    const closed = fixture.server.close();
    expect(existsSync(fixture.socketPath)).toBe(false);
    gate.open();
    expect(await answer).toMatchObject({ status: 200, body: { txid: 1, replicated_txid: 1 } });
    await closed;
  });

  it("ends what does not end by itself when it is closed", async () => {
    await startGated({ graceMs: 1 });
    const answer = ask("POST", "/sync", waiting());
    await asked.promise;
    await fixture.server.close();
    expect(await answer).toMatchObject({
      status: 500,
      body: { error: "the replicator is stopping", code: "ABORTED" },
    });
    expect(existsSync(fixture.socketPath)).toBe(false);
  });
});
