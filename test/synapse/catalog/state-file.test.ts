import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { silentLog } from '../../../common/daemon/log.ts';
import { thisHost } from '../../../common/host.ts';
import { makeInstance } from '../../../common/instance.ts';
import {
  inspectStateFile,
  readStateFile,
  type ServiceToSave,
  StateFileWriter,
} from '../../../synapse/catalog/state-file.ts';
import type { InstanceSet } from '../../../synapse/source.ts';
import { lostInstance } from '../../support/daemons/instance-sets.ts';
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
const { files } = thisHost;

describe('the state file', () => {
  let folder: string;
  let path: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'synapse-cache-'));
    path = join(folder, 'state.json');
  });
  afterEach(() => rm(folder, { recursive: true }));

  const stateFile = () => ({ path, ttlMs: day });

  /** Writes what `inputs` are once, at shutdown. */
  async function writeOnce(inputs: readonly (readonly [string, ServiceToSave])[]): Promise<void> {
    const writer = new StateFileWriter(stateFile(), { log: silentLog, files, read: () => inputs });
    writer.touch();
    await writer.run(AbortSignal.abort());
  }

  it('loses the temporary files of killed processes, and no other files', async () => {
    for (const name of ['.state.json.4711.0a1b2c3d', '.state.json.bak', '.state.json.1.x', '.other.json.4711.0a1b2c3d'])
      await writeFile(join(folder, name), '');
    await inspectStateFile(stateFile(), files);
    assert.equal((await readdir(folder)).length, 4, 'an inspection changes nothing');
    await readStateFile(stateFile(), { log: silentLog, files });
    assert.deepEqual((await readdir(folder)).sort(), [
      '.other.json.4711.0a1b2c3d',
      '.state.json.1.x',
      '.state.json.bak',
    ]);
  });

  it('keeps every field of every instance', async () => {
    await writeOnce([
      ['api', { set, current: true }],
      ['__proto__', { set: { instances: [], rejected: [], seenAt: 0 }, current: true }],
    ]);
    const services = await readStateFile(stateFile(), { log: silentLog, files });
    assert.deepEqual([...services.keys()], ['api', '__proto__']);
    assert.deepEqual(services.get('api')?.set.instances, [full]);
    assert.deepEqual(services.get('api')?.set.sequence, [42]);
    assert.deepEqual(services.get('__proto__')?.set.instances, []);
  });

  it('keeps the published configuration, and the suspects with the time of their expiry', async () => {
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
          kept: new Map([[full.id, { ...lostInstance(full), at, phase: 'suspect' }]]),
        },
      ],
      ['web', { set, current: true, kept: new Map() }],
    ]);
    const services = await readStateFile(stateFile(), { log: silentLog, files });
    assert.deepEqual(services.get('api')?.published, published);
    assert.deepEqual(services.get('api')?.set.sequence, [Number.POSITIVE_INFINITY]);
    const suspect = services.get('api')?.kept?.get(full.id);
    assert.deepEqual(suspect?.instance, full);
    assert.deepEqual([suspect?.lease, suspect?.phase], ['7', 'suspect']);
    assert.ok(Math.abs((suspect?.at ?? 0) - at) < 1_000);
    assert.equal(services.get('web')?.kept, undefined);
  });

  it('counts as empty when it is missing, without a log line', async () => {
    const { log, lines } = recordingLog();
    assert.equal((await readStateFile(stateFile(), { log, files })).size, 0);
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
    it(`is moved away and reported when it is damaged (${text || 'empty'})`, async () => {
      await writeFile(path, text);
      const { log, lines } = recordingLog();
      assert.equal((await readStateFile(stateFile(), { log, files })).size, 0);
      assert.deepEqual(await readdir(folder), ['state.json.damaged']);
      assert.equal(await readFile(`${path}.damaged`, 'utf8'), text);
      assert.deepEqual(
        lines.map(({ message }) => message),
        ['the state file is damaged and not used'],
      );
    });
  }

  it('is not moved by an inspection when it is damaged', async () => {
    await writeFile(path, 'not json');
    assert.equal((await inspectStateFile(stateFile(), files)).services.size, 0);
    assert.deepEqual(await readdir(folder), ['state.json']);
  });

  it('is reported and left alone when it cannot be read', async () => {
    const { log, lines } = recordingLog();
    assert.equal((await readStateFile({ path: folder, ttlMs: day }, { log, files })).size, 0);
    assert.equal(lines[0]?.message, 'the state file cannot be read');
  });

  it('gives no services that are older than the ttl or from the future', async () => {
    const at = Date.now();
    const service = (age: number) => ({ at: at - age, instances: [{ host: 'h', port: 1 }] });
    const services = { old: service(2 * day), fresh: service(day / 2), future: service(-2 * day) };
    await writeFile(path, JSON.stringify({ version: 1, services }));
    assert.deepEqual([...(await readStateFile(stateFile(), { log: silentLog, files })).keys()], ['fresh']);
  });

  it('keeps the time of a set that is not confirmed, and renews that of a confirmed or new one', async () => {
    const at = Date.now() - 1000;
    const services = Object.fromEntries(['stale', 'confirmed', 'changed'].map((name) => [name, { at, instances: [] }]));
    await writeFile(path, JSON.stringify({ version: 1, services }));
    const restored = await readStateFile(stateFile(), { log: silentLog, files });
    const input = (name: string, current: boolean): ServiceToSave => ({ set: restored.get(name)?.set ?? set, current });
    const inputs = [
      ['stale', input('stale', false)],
      ['confirmed', input('confirmed', true)],
      ['changed', { set, current: false }],
    ] as const;
    const writer = new StateFileWriter(stateFile(), { log: silentLog, files, read: () => inputs, restored });
    writer.touch();
    await writer.run(AbortSignal.abort());
    const after = await readStateFile(stateFile(), { log: silentLog, files });
    assert.equal(after.get('stale')?.at, at);
    assert.ok((after.get('confirmed')?.at ?? 0) > at);
    assert.ok((after.get('changed')?.at ?? 0) > at);
  });

  it('is written once for all changes of one interval', async () => {
    let reads = 0;
    const read = () => {
      reads += 1;
      return [['api', { set, current: true }] as const];
    };
    const end = new AbortController();
    const writer = new StateFileWriter(stateFile(), { log: silentLog, files, read, intervalMs: 20 });
    const done = writer.run(end.signal);
    for (let i = 0; i < 100; i++) writer.touch();
    await until(async () => (await readdir(folder)).includes('state.json'));
    end.abort();
    await done;
    assert.equal(reads, 1);
  });

  it('is not written at the end when nothing changed', async () => {
    const writer = new StateFileWriter(stateFile(), { log: silentLog, files, read: () => [] });
    await writer.run(AbortSignal.abort());
    assert.deepEqual(await readdir(folder), []);
  });

  it('has one log line when it cannot be written, and one when it is written again', async () => {
    const { log, lines } = recordingLog();
    const missing = join(folder, 'later', 'state.json');
    const end = new AbortController();
    const read = () => [['api', { set, current: true }] as const];
    const writer = new StateFileWriter({ path: missing, ttlMs: day }, { log, files, read, intervalMs: 5 });
    const done = writer.run(end.signal);
    writer.touch();
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
