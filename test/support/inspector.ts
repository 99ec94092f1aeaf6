/** workerd's inspector, which speaks JSON over a WebSocket. */

interface HeapUsage {
  readonly usedSize: number;
  readonly backingStorageSize: number;
}

/** One connection for as long as the process runs. */
export class Inspector {
  readonly #url: string;
  #socket: WebSocket | undefined;
  #asked = 0;

  constructor(url: string) {
    this.#url = url;
  }

  /** @throws {Error} When the connection has ended, or ends before there is an answer. */
  async heapBytes(): Promise<number> {
    const socket = (this.#socket ??= new WebSocket(this.#url));
    const id = ++this.#asked;
    const ask = () => socket.send(JSON.stringify({ id, method: "Runtime.getHeapUsage" }));
    const { promise, resolve, reject } = Promise.withResolvers<HeapUsage>();
    const fail = () => reject(new Error("the inspector's connection has ended"));
    const end = new AbortController();
    const { signal } = end;
    // One listener for all that comes: what the inspector tells of itself may come in one piece with the answer.
    const take = ({ data }: MessageEvent) => {
      const answer = JSON.parse(data as string) as {
        readonly id?: number;
        readonly result: HeapUsage;
      };
      if (answer.id === id) resolve(answer.result);
    };
    socket.addEventListener("message", take, { signal });
    for (const failure of ["close", "error"]) socket.addEventListener(failure, fail, { signal });
    if (socket.readyState === WebSocket.CONNECTING)
      socket.addEventListener("open", ask, { signal });
    else if (socket.readyState === WebSocket.OPEN) ask();
    else fail();
    try {
      const { usedSize, backingStorageSize } = await promise;
      return usedSize + backingStorageSize;
    } finally {
      end.abort();
    }
  }
}
