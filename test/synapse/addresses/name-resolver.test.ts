import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createNameLookup, type LookUpName } from '../../../common/net/name-lookup.ts';
import { concurrentLookups, mostNames, NameResolver } from '../../../synapse/addresses/name-resolver.ts';
import { memoryFiles } from '../../support/machine/memory-files.ts';
import { startDnsServer } from '../../support/servers/dns-server.ts';
import { until } from '../../support/until.ts';

/** A lookup that the test answers by hand. */
function handDns() {
  const asked: string[] = [];
  const waiting = new Map<string, { answer: (address: string, ttlSeconds?: number) => void; fail: () => void }>();
  let most = 0;
  const lookUp: LookUpName = (name, _, signal) => {
    asked.push(name);
    return new Promise((resolve, reject) => {
      const end = (): void => void waiting.delete(name);
      waiting.set(name, {
        answer(address, ttlSeconds = 3_600) {
          end();
          resolve({ addresses: [address], ttlSeconds });
        },
        fail() {
          end();
          reject(Object.assign(new Error('no'), { code: 'ESERVFAIL' }));
        },
      });
      most = Math.max(most, waiting.size);
      signal.addEventListener('abort', () => {
        end();
        reject(signal.reason);
      });
    });
  };
  return {
    asked,
    waiting,
    lookUp,
    get most() {
      return most;
    },
  };
}

const options = { nameserver: [], timeout: 3_000, prefer: 'ipv4' } as const;
const names = (count: number, prefix = 'n'): ReadonlySet<string> =>
  new Set(Array.from({ length: count }, (_, index) => `${prefix}${index}.test`));

describe('the resolver of host names', () => {
  let dns: ReturnType<typeof handDns>;
  let resolver: NameResolver;
  let told: (readonly string[])[];
  beforeEach(() => {
    dns = handDns();
    told = [];
    resolver = new NameResolver(options, {
      lookUp: dns.lookUp,
      seed: 'here',
      onChange: (changed) => void told.push([...changed].sort()),
    });
  });
  afterEach(() => resolver.end());

  it('looks a name up once for all services, and tells its address', async () => {
    resolver.use('api', new Set(['a.test']));
    resolver.use('web', new Set(['a.test']));
    assert.deepEqual(dns.asked, ['a.test']);
    assert.deepEqual(resolver.look('a.test'), { address: undefined, reason: null, failures: 0 });
    dns.waiting.get('a.test')?.answer('10.0.0.1');
    await until(() => told.length === 1);
    assert.deepEqual(told, [['a.test']]);
    assert.equal(resolver.look('a.test')?.address, '10.0.0.1');
  });

  it('forgets a name with its last service, and ends its lookup', async () => {
    resolver.use('api', new Set(['a.test']));
    resolver.use('web', new Set(['a.test']));
    resolver.use('api', new Set());
    assert.ok(resolver.look('a.test'));
    resolver.use('web', new Set(['b.test']));
    assert.equal(resolver.look('a.test'), undefined);
    await until(() => dns.waiting.size === 1);
    assert.deepEqual([...dns.waiting.keys()], ['b.test']);
  });

  it('tells a failure with its reason, tries again, and keeps the address that it had', async () => {
    resolver.use('api', new Set(['a.test']));
    dns.waiting.get('a.test')?.fail();
    await until(() => told.length === 1);
    assert.match(resolver.look('a.test')?.reason ?? '', /name server failed/);
    await until(() => dns.asked.length === 2);
    dns.waiting.get('a.test')?.answer('10.0.0.1');
    await until(() => told.length === 2);
    assert.deepEqual(resolver.look('a.test'), { address: '10.0.0.1', reason: null, failures: 0 });
    resolver.configure({ ...options, prefer: 'ipv6' });
    await until(() => dns.waiting.size === 1);
    dns.waiting.get('a.test')?.fail();
    await until(() => told.length === 3);
    assert.equal(resolver.look('a.test')?.address, '10.0.0.1');
  });

  it('has a limited number of lookups under way, and asks for new names before those that failed', async () => {
    resolver.use('dead', names(concurrentLookups + 10));
    assert.equal(dns.waiting.size, concurrentLookups);
    for (const one of [...dns.waiting.values()]) one.fail();
    await until(() => dns.waiting.size === concurrentLookups);
    const before = dns.asked.length;
    resolver.use('new', new Set(['new.test']));
    assert.equal(dns.asked.length, before);
    dns.waiting.get('n137.test')?.fail();
    await until(() => dns.waiting.has('new.test'));
    assert.equal(dns.asked[before], 'new.test');
    assert.ok(dns.most <= concurrentLookups);
  });

  it('follows a limited number of names, and takes up another when one goes', async () => {
    resolver.use('many', names(mostNames));
    resolver.use('more', new Set(['more.test']));
    assert.match(resolver.look('more.test')?.reason ?? '', /more than 20000 host names/);
    resolver.use('many', names(mostNames - 1));
    assert.deepEqual(resolver.look('more.test'), { address: undefined, reason: null, failures: 0 });
    for (const one of [...dns.waiting.values()]) one.fail();
    await until(() => dns.asked.includes('n200.test'));
  });

  it('settles when each name has an answer, and at once without names', async () => {
    const never = new AbortController().signal;
    await resolver.settled(never);
    resolver.use('api', new Set(['a.test', 'b.test']));
    let settled = false;
    const waited = resolver.settled(never).then(() => {
      settled = true;
    });
    dns.waiting.get('a.test')?.answer('10.0.0.1');
    await until(() => told.length === 1);
    assert.equal(settled, false);
    dns.waiting.get('b.test')?.fail();
    await waited;
    await resolver.settled(AbortSignal.abort());
  });

  it('finds 10,000 names, tells them in a few parts, and ends in the middle without a trace', async () => {
    const server = await startDnsServer();
    const all = names(10_000);
    for (const [index, name] of [...all].entries()) {
      server.zone.set(`${name} A`, [{ address: `10.1.${index >> 8}.${index & 255}` }]);
    }
    const changes: number[] = [];
    const many = new NameResolver(
      { ...options, nameserver: [server.address], timeout: 30_000 },
      {
        lookUp: createNameLookup({ files: memoryFiles() }),
        seed: 'here',
        onChange: (changed) => void changes.push(changed.size),
      },
    );
    try {
      many.use('api', all);
      await until(() => [...many.all()].every(([, { address }]) => address !== undefined), 60_000);
      assert.equal(many.look('n257.test')?.address, '10.1.1.1');
      await until(() => changes.reduce((sum, count) => sum + count, 0) === 10_000);
      assert.ok(changes.length < 1_000, `told ${changes.length} times`);
      many.configure({ ...options, nameserver: [server.address], timeout: 29_000 });
    } finally {
      many.end();
      await server.close();
    }
  });
});
