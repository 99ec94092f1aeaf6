import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ControlServer } from "../../../replicator/control/control-server.ts";
import { ReplicationTarget } from "../../support/control-target.ts";

let folder: string;
let socketPath: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "eddy-socket-"));
  socketPath = join(folder, "eddy.sock");
});
afterEach(() => rmSync(folder, { recursive: true }));

function start(permissions?: number): Promise<ControlServer> {
  const target = new ReplicationTarget();
  return ControlServer.start({ target, version: "1", socketPath, permissions });
}

describe("the socket of a control server", () => {
  it("takes the place of one whose process has died", async () => {
    const program = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;
    const child = spawn(process.execPath, ["-e", program, socketPath]);
    await once(child, "exit");
    expect(existsSync(socketPath)).toBe(true);
    await using server = await start();
    const response = Promise.withResolvers<number | undefined>();
    const { get } = await import("node:http");
    get({ socketPath: server.socketPath, path: "/info", agent: false }, (answer) => {
      answer.resume();
      response.resolve(answer.statusCode);
    });
    expect(await response.promise).toBe(200);
  });

  it("is refused where another process listens, which goes on", async () => {
    await using first = await start();
    await expect(start()).rejects.toMatchObject({
      code: "WRITER_CONFLICT",
      message: expect.stringContaining(`already listens on the control socket ${socketPath}`),
    });
    expect(statSync(first.socketPath).isSocket()).toBe(true);
  });

  it("does not take the place of a file that is no socket", async () => {
    writeFileSync(socketPath, "mine");
    await expect(start()).rejects.toMatchObject({
      code: "LOCAL_FILE",
      message: expect.stringContaining("is no socket"),
    });
    expect(readFileSync(socketPath, "utf8")).toBe("mine");
  });

  it("is refused where there is no folder", async () => {
    socketPath = join(folder, "none", "eddy.sock");
    await expect(start()).rejects.toMatchObject({ code: "LOCAL_FILE" });
  });

  it("gets the permissions that are asked for", async () => {
    await using server = await start(0o660);
    expect(statSync(server.socketPath).mode & 0o777).toBe(0o660);
  });
});
