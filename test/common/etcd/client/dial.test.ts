import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { status } from '@grpc/grpc-js';
import { silentLog } from '../../../../common/daemon/log.ts';
import { createEtcdClient, type EtcdClient } from '../../../../common/etcd/client/client.ts';
import type { Connection, Dial, Rpc, RpcLimits } from '../../../../common/etcd/client/connection.ts';
import { EtcdError } from '../../../../common/etcd/client/errors.ts';

/** What one simulated member answers to a read, given the token of the call. */
type Answer = (token: string | undefined) => Promise<string>;

const refuse = async (): Promise<never> => {
  throw new EtcdError('read', status.UNAVAILABLE, 'connect ECONNREFUSED');
};
const yes: Answer = async () => 'yes';
const hang = async (): Promise<never> => {
  throw new EtcdError('read', status.DEADLINE_EXCEEDED, 'Deadline exceeded');
};

/** Members without sockets: a connection is an object that records how it ends. */
function simulate(answers: Readonly<Record<string, Answer>>) {
  const dialled: string[] = [];
  const happened: string[] = [];
  let logins = 0;
  let outdated = false;
  const dial: Dial = ({ url }): Connection => {
    const name = `${new URL(url).hostname} ${dialled.push(url)}`;
    const rpc = ({ token }: RpcLimits): Rpc => {
      const kv = { range: async () => (answers[new URL(url).hostname] as Answer)(token) };
      const auth = { authenticate: async () => ({ token: `token ${++logins}` }) };
      return { kv, auth, maintenance: { status: async () => ({ version: '3.5.30' }) } } as unknown as Rpc;
    };
    const end = (what: string) => () => void happened.push(`${what} ${name}`);
    const isOutdated = (): boolean => outdated;
    return {
      url,
      openedAt: -60_000,
      ready: false,
      idle: true,
      isOutdated,
      rpc,
      retire: end('retire'),
      close: end('close'),
    };
  };
  const replaceFiles = (): void => {
    outdated = true;
  };
  return { dial, dialled, happened, replaceFiles };
}

const connect = (t: TestContext, dial: Dial, user: { username?: string; password?: string } = {}) => {
  const ended = new AbortController();
  t.after(() => ended.abort());
  const client = createEtcdClient({ hosts: ['a', 'b', 'c'], ...user }, { log: silentLog, dial }, ended.signal);
  return { client, end: () => ended.abort() };
};

const read = (client: EtcdClient): Promise<unknown> => client.call((rpc) => rpc.kv.range({ key: Buffer.from('k') }));

describe('the client over a dial that is handed in', () => {
  it('dials no member before the first call', (t) => {
    const { dial, dialled } = simulate({});
    connect(t, dial);
    assert.deepEqual(dialled, []);
  });

  it('finds the member that answers and stays with it over one connection', async (t) => {
    const { dial, dialled } = simulate({ a: refuse, b: async () => 'yes', c: refuse });
    const { client } = connect(t, dial);
    assert.equal(await read(client), 'yes');
    const before = dialled.length;
    for (let calls = 0; calls < 5; calls += 1) await read(client);
    assert.equal(client.status.member, 'http://b:2379');
    assert.equal(dialled.length, before);
  });

  it('asks for a new token when the one it has is refused', async (t) => {
    const answer: Answer = async (token) => {
      if (token !== 'token 2') throw new EtcdError('read', status.UNAUTHENTICATED, 'etcdserver: invalid auth token');
      return token;
    };
    const { dial, dialled } = simulate({ a: answer, b: answer, c: answer });
    const { client } = connect(t, dial, { username: 'nerve', password: 'secret' });
    assert.equal(await read(client), 'token 2');
    assert.equal(dialled.length, 1, 'the member stays the same');
  });

  it('gives new calls a new connection when the old one hangs', async (t) => {
    let hangs = true;
    const answer = async (): Promise<string> => (hangs ? hang() : 'yes');
    const { dial, happened } = simulate({ a: answer, b: answer, c: answer });
    const { client } = connect(t, dial);
    const once = client.call((rpc) => rpc.kv.range({ key: Buffer.from('k') }), { maxTries: 3, totalMs: 500 });
    await assert.rejects(once, { code: status.DEADLINE_EXCEEDED });
    assert.equal(happened.filter((what) => what.startsWith('retire')).length, 3);
    hangs = false;
    assert.equal(await read(client), 'yes');
  });

  it('gives new calls a new connection when the TLS files have changed', async (t) => {
    const { dial, dialled, happened, replaceFiles } = simulate({ a: yes, b: yes, c: yes });
    const { client } = connect(t, dial);
    await read(client);
    replaceFiles();
    await read(client);
    assert.ok(dialled.length >= 2);
    assert.match(happened[0] ?? '', /^retire/);
  });

  it('closes every connection when it is aborted', async (t) => {
    const { dial, happened } = simulate({ a: refuse, b: async () => 'yes', c: refuse });
    const { client, end } = connect(t, dial);
    await read(client);
    end();
    assert.ok(happened.some((what) => what.startsWith('close b')));
    await assert.rejects(read(client), { code: status.CANCELLED });
  });
});
