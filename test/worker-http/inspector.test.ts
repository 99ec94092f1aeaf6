/** What is asked of workerd's inspector is answered, or fails: nobody waits for ever. */
import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Inspector } from "../support/inspector.ts";

let server: Server;
let url: string;
/** Called with what came, and the connection. */
let onData: (socket: Socket) => void;

beforeEach(async () => {
  server = createServer();
  server.on("upgrade", ({ headers }, socket: Socket) => {
    const key = `${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = createHash("sha1").update(key).digest("base64");
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    );
    socket.on("error", () => undefined);
    socket.on("data", () => onData(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}/worker`;
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** A message of less than 126 bytes, as a server sends it. */
function message(value: unknown): Buffer {
  const text = JSON.stringify(value);
  return Buffer.concat([Buffer.from([0x81, text.length]), Buffer.from(text)]);
}

test("an answer is taken that comes in one piece with what was not asked for", async () => {
  const result = { usedSize: 3, backingStorageSize: 4 };
  onData = (socket) => {
    socket.end(Buffer.concat([message({ method: "Some.event" }), message({ id: 1, result })]));
  };
  expect(await new Inspector(url).heapBytes()).toBe(7);
});

test("whoever asks when the connection has ended is told so, each time", async () => {
  onData = (socket) => socket.destroy();
  const inspector = new Inspector(url);
  for (let time = 0; time < 2; time++) {
    await expect(inspector.heapBytes()).rejects.toThrow("the inspector's connection has ended");
  }
});
