import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { silentLog } from '../../../common/daemon/log.ts';
import { makeInstance } from '../../../common/instance.ts';
import { type CacheInput, createCache, peekCache, readCache } from '../../../synapse/catalog/state-file.ts';
import type { InstanceSet } from '../../../synapse/source.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { until } from '../../support/until.ts';

const full = makeInstance({
  name: 'a',
  host: '::1',
  port: 80,
  state: 'drain',
  backup: true,
  weight: 3,
  labels: { az: 'x', ['__proto__']: 'y' },
  serverOptions: 'check',
});
const set: InstanceSet = { instances: [full], rejected: [], seenAt: 0, sequence: [42] };
const day = 86_400_000;

describe('cache', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'synapse-cache-'));
    path = join(folder, 'state.json');
  });
  afterEach(() => rm(folder, { recursive: true }));

  /** Writes what `inputs` are once, at shutdown. */
  async function writeOnce(inputs: readonly (readonly [string, CacheInput])[]): Promise<void> {
    const cache = createCache({ path, ttl: day }, () => inputs, { log: silentLog });
    cache.touch();
    await cache.run(AbortSignal.abort());
  }

  test('removes what processes left that were killed while they wrote, and nothing else', async () => {
    for (const name of ['.state.json.4711.0a1b2c3d', '.state.json.bak', '.state.json.1.x', '.other.json.4711.0a1b2c3d'])
      await writeFile(join(folder, name), '');
    await peekCache({ path, ttl: day });
    assert.equal((await readdir(folder)).length, 4, 'who only looks changes nothing');
    await readCache({ path, ttl: day }, { log: silentLog });
    assert.deepEqual((await readdir(folder)).sort(), [
      '.other.json.4711.0a1b2c3d',
      '.state.json.1.x',
      '.state.json.bak',
    ]);
  });

  test('gives back every field of every instance', async () => {
    await writeOnce([
      ['api', { set, current: true }],
      ['__proto__', { set: { instances: [], rejected: [], seenAt: 0 }, current: true }],
    ]);
    const services = await readCache({ path, ttl: day }, { log: silentLog });
    assert.deepEqual([...services.keys()], ['api', '__proto__']);
    assert.deepEqual(services.get('api')?.set.instances, [full]);
    assert.deepEqual(services.get('api')?.set.sequence, [42]);
    assert.deepEqual(services.get('__proto__')?.set.instances, []);
  });

  test('gives back the configuration that was published, and since when who is suspect', async () => {
    const published = { where: '/config/api', value: { haproxy: { port: 1 } } };
    const at = performance.now() - 5_000;
    await writeOnce([
      [
        'api',
        {
          // As the guard has it: a suspect does not lead.
          set: { ...set, sequence: [Number.POSITIVE_INFINITY] },
          current: true,
          published,
          suspects: new Map([[full.id, { instance: full, at }]]),
        },
      ],
      ['web', { set, current: true, suspects: new Map() }],
    ]);
    const services = await readCache({ path, ttl: day }, { log: silentLog });
    assert.deepEqual(services.get('api')?.published, published);
    assert.deepEqual(services.get('api')?.set.sequence, [Number.POSITIVE_INFINITY]);
    const suspect = services.get('api')?.suspects?.get(full.id);
    assert.deepEqual(suspect?.instance, full);
    assert.ok(Math.abs((suspect?.at ?? 0) - at) < 1_000);
    assert.equal(services.get('web')?.suspects, undefined);
  });

  test('that is missing is empty, without a word', async () => {
    const { log, lines } = recordingLog();
    assert.equal((await readCache({ path, ttl: day }, { log })).size, 0);
    assert.deepEqual(lines, []);
  });

  for (const text of [
    '',
    'not json',
    'null',
    '{"version":2,"services":{}}',
    '{"version":1,"services":[]}',
    '{"version":1,"services":{"api":{"at":1}}}',
    '{"version":1,"services":{"api":{"at":1,"instances":[{"host":"a b","port":1}]}}}',
    '{"version":1,"services":{"api":{"at":1,"instances":[],"sequence":[1]}}}',
    '{"version":1,"services":{"api":{"at":1,"instances":[],"published":{"where":1}}}}',
    '{"version":1,"services":{"api":{"at":1,"instances":[],"suspects":[{"instance":{}}]}}}',
    '{"api":{"a_1:1":{"timestamp":1,"host":"1"}}}',
  ]) {
    test(`that is damaged (${text || 'empty'}) is set aside and reported`, async () => {
      await writeFile(path, text);
      const { log, lines } = recordingLog();
      assert.equal((await readCache({ path, ttl: day }, { log })).size, 0);
      assert.deepEqual(await readdir(folder), ['state.json.damaged']);
      assert.equal(await readFile(`${path}.damaged`, 'utf8'), text);
      assert.deepEqual(
        lines.map(({ message }) => message),
        ['the state file is damaged and not used'],
      );
    });
  }

  test('that is damaged is left alone when asked so', async () => {
    await writeFile(path, 'not json');
    assert.equal((await peekCache({ path, ttl: day })).services.size, 0);
    assert.deepEqual(await readdir(folder), ['state.json']);
  });

  test('that cannot be read is reported and left alone', async () => {
    const { log, lines } = recordingLog();
    assert.equal((await readCache({ path: folder, ttl: day }, { log })).size, 0);
    assert.equal(lines[0]?.message, 'the state file cannot be read');
  });

  test('leaves out what is older than its time to live, or from the future', async () => {
    const at = Date.now();
    const service = (age: number) => ({ at: at - age, instances: [{ host: 'h', port: 1 }] });
    const services = { old: service(2 * day), fresh: service(day / 2), future: service(-2 * day) };
    await writeFile(path, JSON.stringify({ version: 1, services }));
    assert.deepEqual([...(await readCache({ path, ttl: day }, { log: silentLog })).keys()], ['fresh']);
  });

  test('keeps the age of what nobody confirmed, and renews what is confirmed or new', async () => {
    const at = Date.now() - 1000;
    const services = Object.fromEntries(['stale', 'confirmed', 'changed'].map((name) => [name, { at, instances: [] }]));
    await writeFile(path, JSON.stringify({ version: 1, services }));
    const restored = await readCache({ path, ttl: day }, { log: silentLog });
    const input = (name: string, current: boolean): CacheInput => ({ set: restored.get(name)?.set ?? set, current });
    const inputs = [
      ['stale', input('stale', false)],
      ['confirmed', input('confirmed', true)],
      ['changed', { set, current: false }],
    ] as const;
    const cache = createCache({ path, ttl: day }, () => inputs, { log: silentLog, restored });
    cache.touch();
    await cache.run(AbortSignal.abort());
    const after = await readCache({ path, ttl: day }, { log: silentLog });
    assert.equal(after.get('stale')?.at, at);
    assert.ok((after.get('confirmed')?.at ?? 0) > at);
    assert.ok((after.get('changed')?.at ?? 0) > at);
  });

  test('merges the changes of one interval into one write', async () => {
    let reads = 0;
    const read = () => {
      reads += 1;
      return [['api', { set, current: true }] as const];
    };
    const end = new AbortController();
    const cache = createCache({ path, ttl: day, interval: 20 }, read, { log: silentLog });
    const done = cache.run(end.signal);
    for (let i = 0; i < 100; i++) cache.touch();
    await until(async () => (await readdir(folder)).includes('state.json'));
    end.abort();
    await done;
    assert.equal(reads, 1);
  });

  test('writes nothing at the end when nothing changed since the last write', async () => {
    const cache = createCache({ path, ttl: day }, () => [], { log: silentLog });
    await cache.run(AbortSignal.abort());
    assert.deepEqual(await readdir(folder), []);
  });

  test('reports once that it cannot be written, goes on, and says when it works again', async () => {
    const { log, lines } = recordingLog();
    const missing = join(folder, 'later', 'state.json');
    const end = new AbortController();
    const cache = createCache({ path: missing, ttl: day, interval: 5 }, () => [['api', { set, current: true }]], {
      log,
    });
    const done = cache.run(end.signal);
    cache.touch();
    await until(() => lines.length > 0);
    const { mkdir } = await import('node:fs/promises');
    await mkdir(join(folder, 'later'));
    await until(() => lines.length > 1);
    end.abort();
    await done;
    assert.deepEqual(
      lines.map(({ message }) => message),
      ['the state file cannot be written', 'the state file is written again'],
    );
  });
});
