import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { aborted } from '../../../common/async/abort.ts';
import { reasonOf } from '../../../common/daemon/log.ts';
import { openSession, type ZookeeperSession } from '../../../common/zookeeper/session.ts';
import {
  openReply,
  replyHead,
  type ScriptedZookeeper,
  startScriptedZookeeper,
} from '../../support/servers/scripted-zookeeper.ts';

describe('a ZooKeeper session', () => {
  let server: ScriptedZookeeper;
  let end: AbortController;
  beforeEach(async () => {
    end = new AbortController();
    server = await startScriptedZookeeper();
  });
  afterEach(async () => {
    end.abort();
    await server.close();
  });
  const open = (): Promise<ZookeeperSession> =>
    openSession({ host: '127.0.0.1', port: server.port, timeoutMs: 60_000 }, end.signal);

  const lies: readonly (readonly [what: string, reply: Buffer, reason: RegExp])[] = [
    ['to a later request', replyHead(2).int(0).frame(), /it answers request 2, but 1 is the next$/],
    ['to a request that was never sent', replyHead(7).int(0).frame(), /it answers request 7, but 1 is the next$/],
    ['that ends too early', replyHead(1).int(2).string('a').frame(), /ZooKeeper sent \d+ bytes where at least/],
    ['without a list', replyHead(1).int(-1).frame(), /ZooKeeper sent a list of -1 texts$/],
    ['with a name of a negative length', replyHead(1).int(1).int(-5).frame(), /a text or data of -5 bytes$/],
    ['with an empty name', replyHead(1).int(1).string('').frame(), /ZooKeeper sent "" as the name of a child$/],
    ['with a path for a name', replyHead(1).int(1).string('a/b').frame(), /sent "a\/b" as the name of a child$/],
    ['without a whole head', Buffer.from([0, 0, 0, 4, 0, 0, 0, 1]), /ZooKeeper sent 4 bytes where at least/],
  ];
  for (const [what, reply, reason] of lies) {
    it(`ends with a reason when the server sends a reply ${what}`, async () => {
      server.script = (_, index) => (index === 0 ? openReply(60_000) : index === 2 ? reply : undefined);
      const session = await open();
      const asked = await Promise.allSettled([session.children('/a'), session.data('/b')]);
      await aborted(session.ended);
      for (const one of asked) {
        assert.ok(one.status === 'rejected');
        assert.match(reasonOf(one.reason), reason);
      }
      assert.match(reasonOf(session.ended.reason), reason);
    });
  }

  it('ends with a reason when the server answers although nothing was asked', async () => {
    server.script = () => Buffer.concat([openReply(60_000), replyHead(1).int(0).frame()]);
    const session = await open();
    await aborted(session.ended);
    assert.match(reasonOf(session.ended.reason), /it answers request 1, but no request waits$/);
  });

  it('takes no answer of the server any more once it is closed', async () => {
    server.script = (_, index) => (index === 0 ? openReply(60_000) : replyHead(1).frame());
    const session = await open();
    end.abort();
    assert.match(reasonOf(session.ended.reason), /closed$/);
    await assert.rejects(session.exists('/a'), /closed$/);
  });
});
