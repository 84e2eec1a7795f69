import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { describe, it } from 'node:test';
import { type ConnectResult, type TcpAddress, thisHost } from '../../../common/host.ts';
import { Looks } from '../../../synapse/catalog/looks.ts';
import type { LostInstance } from '../../../synapse/catalog/lost-instance.ts';
import { lostInstance, namedInstance } from '../../support/daemons/instance-sets.ts';

/** Looks from a host that reaches what `reach` says; every address is asked about by its host. */
function looksWith(
  reach: Readonly<Record<string, ConnectResult>>,
  checks: Readonly<Record<string, 'up' | 'down'>> = {},
  announced: readonly string[] = ['well-1', 'well-2'],
) {
  const tried: string[] = [];
  const looks = new Looks(
    {
      host: {
        tryConnect: async ({ host }) => {
          tried.push(host);
          return reach[host] ?? 'silent';
        },
      },
      checks: async () => new Map(Object.entries(checks).map(([host, check]) => [namedInstance(host).id, check])),
      addressOf: (_, { instance: { host, port } }) => ({ host, port }),
      comparable: (): readonly TcpAddress[] => announced.map((host) => ({ host, port: 123 })),
    },
    new AbortController().signal,
  );
  return { tried, at: (lost: LostInstance) => looks.at('api', lost) };
}

const lost = lostInstance(namedInstance('lost'));
const suspect: LostInstance = { ...lost, phase: 'suspect' };

describe('looks at lost instances', () => {
  it('are at the address of a host name, and ask HAProxy about the server there', async () => {
    const tried: TcpAddress[] = [];
    const looks = new Looks(
      {
        host: {
          async tryConnect(address) {
            tried.push(address);
            return 'answers';
          },
        },
        checks: async () => new Map([['lost_10.0.0.7:81', 'down'] as const]),
        addressOf: () => ({ host: '10.0.0.7', port: 81 }),
        comparable: () => [],
      },
      new AbortController().signal,
    );
    assert.equal((await looks.at('api', lost))?.server, 'down');
    assert.deepEqual(tried, [{ host: '10.0.0.7', port: 81 }]);
  });

  it('take an instance that answers as it is, without a comparison', async () => {
    const { tried, at } = looksWith({ lost: 'answers' });
    assert.deepEqual(await at(lost), { answer: 'answers', isBlind: false, server: 'unknown' });
    assert.deepEqual(tried, ['lost']);
  });

  it('are evidence when they fail and an instance that is well answers', async () => {
    for (const answer of ['refused', 'silent'] as const) {
      const { at } = looksWith({ lost: answer, 'well-2': 'answers' });
      assert.deepEqual(await at(lost), { answer, isBlind: false, server: 'unknown' });
    }
  });

  it('are blind when they fail and no instance that is well can be reached', async () => {
    const { tried, at } = looksWith({});
    assert.deepEqual(await at(lost), { answer: 'silent', isBlind: true, server: 'unknown' });
    assert.deepEqual(tried, ['lost', 'well-1', 'well-2']);
  });

  it('are evidence when most of what is announced died together with it', async () => {
    const dead = Array.from({ length: 10 }, (_, index) => `dead-${index}`);
    const { at } = looksWith({ 'well-1': 'answers' }, {}, [...dead, 'lost', 'well-1']);
    assert.deepEqual(await at(lost), { answer: 'silent', isBlind: false, server: 'unknown' });
  });

  it('that fail together share one comparison', async () => {
    const { tried, at } = looksWith({});
    const all = await Promise.all(['a', 'b', 'c'].map((host) => at(lostInstance(namedInstance(host)))));
    assert.ok(all.every((look) => look?.isBlind));
    assert.deepEqual(tried.toSorted(), ['a', 'b', 'c', 'well-1', 'well-2']);
  });

  it("have HAProxy's verdict, which counts also when they are blind, unless HAProxy reaches nothing either", async () => {
    const well = looksWith({ lost: 'answers' }, { lost: 'down' });
    assert.equal((await well.at(lost))?.server, 'down');
    const blind = looksWith({}, { lost: 'down', other: 'up' });
    assert.deepEqual(await blind.at(lost), { answer: 'silent', isBlind: true, server: 'down' });
    const bothBlind = looksWith({}, { lost: 'down', other: 'down' });
    assert.equal((await bothBlind.at(lost))?.server, 'unknown');
  });

  it('leave suspects to HAProxy where that checks them', async () => {
    const { tried, at } = looksWith({}, { lost: 'up' });
    assert.deepEqual(await at(suspect), { answer: 'answers', isBlind: false, server: 'up' });
    assert.deepEqual(tried, []);
  });

  it('try suspects that HAProxy does not check', async () => {
    const { at } = looksWith({ lost: 'refused', 'well-1': 'answers' });
    assert.deepEqual(await at(suspect), { answer: 'refused', isBlind: false, server: 'unknown' });
  });
});

describe('one TCP connection from this host', () => {
  it('says that a server answers, and that a closed port refuses', async () => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    const address = { host: '127.0.0.1', port };
    assert.equal(await thisHost.tryConnect(address, new AbortController().signal), 'answers');
    const byName = { host: 'localhost', port };
    assert.equal(await thisHost.tryConnect(byName, new AbortController().signal), 'silent', 'a name is looked up');
    await new Promise((resolve) => server.close(resolve));
    assert.equal(await thisHost.tryConnect(address, new AbortController().signal), 'refused');
  });

  it('says that nothing answered when its time was over', async () => {
    assert.equal(await thisHost.tryConnect({ host: '127.0.0.1', port: 1 }, AbortSignal.abort()), 'silent');
  });
});
