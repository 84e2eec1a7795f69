import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach } from 'node:test';
import { runSource, type SourceRun } from '../daemons/source-run.ts';
import { startZookeeper, type ZookeeperServer } from './zookeeper.ts';
import { openZookeeperWriter, type ZookeeperWriter } from './zookeeper-writer.ts';

/** A ZooKeeper with a session that writes into it, and sources that end with their test. */
export interface ZookeeperFixture {
  readonly server: ZookeeperServer;
  readonly nerve: ZookeeperWriter;
  /** An empty node, another one for each test. */
  readonly path: string;
  /** Runs a source until the test ends. */
  readonly run: typeof runSource;
  /** Opens {@link nerve} again, in place of a session that is lost. */
  renewSession(): Promise<void>;
}

/** Starts a ZooKeeper before the tests of the present `describe`, and stops it after them. */
export function withZookeeper(): ZookeeperFixture {
  let server: ZookeeperServer | undefined;
  let nerve: ZookeeperWriter | undefined;
  let runs: SourceRun[] = [];
  let count = 0;
  const fixture: ZookeeperFixture = {
    get server() {
      assert.ok(server, 'ZooKeeper has not been started yet');
      return server;
    },
    get nerve() {
      assert.ok(nerve, 'ZooKeeper has not been started yet');
      return nerve;
    },
    get path() {
      return `/service-${count}`;
    },
    async run(method, options, shared) {
      const run = await runSource(method, options, shared);
      runs.push(run);
      return run;
    },
    async renewSession() {
      nerve?.vanish();
      nerve = await openZookeeperWriter(fixture.server.address);
    },
  };
  before(async () => {
    server = await startZookeeper();
    await fixture.renewSession();
  });
  after(async () => {
    nerve?.vanish();
    await server?.close();
  });
  beforeEach(async () => {
    count += 1;
    await fixture.nerve.create(fixture.path, '');
  });
  afterEach(async () => {
    await Promise.all(runs.map((run) => run.stop().catch(() => {})));
    runs = [];
  });
  return fixture;
}
