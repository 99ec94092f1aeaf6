/** A running replicator with one database and a control socket, in a folder of its own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import {
  ControlServer,
  type ControlServerOptions,
} from "../../replicator/control/control-server.ts";
import { createDatabase } from "./cli-fixture.ts";
import { ReplicationTarget, type ReplicationTargetOptions } from "./control-target.ts";

export class ControlFixture implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), "eddy-control-"));
  readonly target: ReplicationTarget;
  readonly #apps: DatabaseSync[] = [];
  #server: ControlServer | undefined;

  private constructor(options: ReplicationTargetOptions) {
    this.target = new ReplicationTarget(options);
  }

  /** With `app.db`, of two rows, registered. */
  static async start(
    options: ReplicationTargetOptions & Partial<ControlServerOptions> = {},
  ): Promise<ControlFixture> {
    const fixture = new ControlFixture(options);
    fixture.open("app.db");
    await fixture.target.register(fixture.at("app.db"), fixture.replicaUrl("app.db"));
    fixture.#server = await ControlServer.start({
      target: fixture.target,
      version: "1.2.3",
      socketPath: fixture.socketPath,
      ...options,
    });
    return fixture;
  }

  get socketPath(): string {
    return this.at("eddy.sock");
  }

  get server(): ControlServer {
    return this.#server!;
  }

  at(name: string): string {
    return join(this.folder, name);
  }

  replicaUrl(name: string): string {
    return `file://${this.at(`replicas/${name}`)}`;
  }

  /** Makes a database and keeps it open, as an application would. */
  open(name: string): DatabaseSync {
    createDatabase(this.at(name));
    const app = new DatabaseSync(this.at(name));
    this.#apps.push(app);
    return app;
  }

  /** The application of `app.db`. */
  get app(): DatabaseSync {
    return this.#apps[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.close();
    await this.target[Symbol.asyncDispose]();
    for (const app of this.#apps) app.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
