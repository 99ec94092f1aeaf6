/** What the replicator uses of WebAssembly; the types of Node do not have it. */
declare namespace WebAssembly {
  interface Module {
    readonly moduleBrand?: never;
  }
  const Module: new (bytes: Uint8Array) => Module;
}
