import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { limitEachMessage, serviceLogLimit } from '../../../../common/daemon/limited-log.ts';
import { type Log, silentLog } from '../../../../common/daemon/log.ts';
import { thisHost } from '../../../../common/host.ts';
import { ConfigWriter } from '../../../../synapse/haproxy/configfile/config-writer.ts';
import type { HaproxyEvent } from '../../../../synapse/haproxy/events.ts';
import { Reloader } from '../../../../synapse/haproxy/reload/reloader.ts';
import { buildBackendSpec } from '../../../../synapse/haproxy/spec/build-backend.ts';
import { createDesiredService, type DesiredService } from '../../../../synapse/haproxy/spec/desired-service.ts';
import { parseConfig } from '../../../../synapse/haproxy/spec/parse-config.ts';
import { statusOf } from '../../../../synapse/haproxy/status.ts';
import { instance, serviceConfig } from '../../../support/haproxy/haproxy-output.ts';
import { plainConfig } from '../../../support/haproxy/haproxy-text.ts';
import { recordingLog } from '../../../support/process/recording-log.ts';
import { type StoppedClock, stopClock } from '../../../support/stopped-clock.ts';

const signal = new AbortController().signal;
const config = plainConfig({ config_file_path: '/etc/haproxy/haproxy.cfg', trust_server_options: ['*'] });

/** A file in memory, whose check refuses texts that contain one of these words, and has no result for others. */
function fakeFile() {
  const refused = new Set<string>();
  const hanging = new Set<string>();
  const calls: string[] = [];
  let text = '';
  const judge = (candidate: string) => {
    if ([...hanging].some((each) => candidate.includes(each))) throw new Error('the check came to no result');
    const word = [...refused].find((each) => candidate.includes(each));
    return word === undefined ? null : ({ result: 'refused', message: `bad ${word}`, findings: [] } as const);
  };
  return {
    refused,
    hanging,
    calls,
    name: 'haproxy.cfg',
    get text() {
      return text;
    },
    async check(candidate: string) {
      calls.push('check');
      return judge(candidate) ?? ({ result: 'accepted' } as const);
    },
    async write(next: string, { check }: { readonly check: boolean }) {
      const refusal = check ? judge(next) : null;
      calls.push(refusal === null ? 'write' : 'refuse');
      if (refusal !== null) return refusal;
      if (next === text) return { result: 'unchanged' } as const;
      text = next;
      return { result: 'written', checked: check } as const;
    },
    async rewrite() {},
    async keep() {
      calls.push('keep');
    },
    async restore() {
      calls.push('restore');
      return true;
    },
  };
}

function openWriter({ log = silentLog }: { readonly log?: Log } = {}) {
  const file = fakeFile();
  const events: HaproxyEvent[] = [];
  const services = new Map<string, DesiredService>();
  const deps = { log, host: thisHost, emit: (event: HaproxyEvent) => void events.push(event) };
  const writer = new ConfigWriter(config, {
    ...deps,
    services,
    processes: [],
    file,
    present: () => parseConfig(file.text),
  });
  const reloader = new Reloader(config, { ...deps, processes: [], writer, file });
  const loop = { reason: null, waiting: new Map<string, number>() };
  return {
    file,
    events,
    writer,
    phase: () => writer.state.phase,
    status: () => statusOf({ services, processes: [], writer, reloader, loop, ports: undefined, problems: new Map() }),
    /** Wants a service with these options, and instances with these server options. */
    want(name: string, options: Record<string, unknown>, ...serverOptions: readonly string[]) {
      const desired = services.get(name) ?? createDesiredService(name, config.max_server_id);
      services.set(name, desired);
      desired.wanted = buildBackendSpec(name, serviceConfig({ server_options: 'check', ...options }), config);
      desired.instances = serverOptions.map((words, index) => instance(8_000 + index, { serverOptions: words }));
      writer.specsChanged();
    },
    write: () => writer.write(signal),
  };
}

describe('the writer of the configuration', () => {
  let time: StoppedClock;
  beforeEach(() => {
    time = stopClock();
  });
  afterEach(() => time.restore());

  it('ends no quarantine when the status is read, however often, and ends it when time is observed', async () => {
    const { file, writer, status, want, write } = openWriter();
    want('good', { backend: ['balance first'] });
    want('poor', { backend: ['balance nonsense'] });
    file.refused.add('nonsense');
    await write();
    assert.deepEqual(Object.keys(status().quarantined), ['poor']);
    assert.match(file.text, /backend good/);
    time.now = 60_000 - 1;
    assert.equal(writer.observe(), false);
    const before = { state: writer.state, status: status(), text: file.text, calls: file.calls.length };
    for (let reading = 0; reading < 1_000; reading++) {
      time.now += 1;
      status();
    }
    assert.deepEqual({ state: writer.state, status: status(), text: file.text, calls: file.calls.length }, before);
    assert.equal(writer.observe(), true);
    file.refused.clear();
    await write();
    assert.deepEqual(status().quarantined, {});
    assert.match(file.text, /balance nonsense/);
  });

  it('blames no service when a check comes to no result', async () => {
    const { file, events, writer, status, want, write } = openWriter();
    want('api', {}, '');
    want('slow', {}, 'slow-option');
    file.hanging.add('slow-option');
    await assert.rejects(write(), /no result/);
    assert.deepEqual(status().quarantined, {});
    assert.equal(writer.reason, null);
    assert.deepEqual(events, []);
    file.hanging.clear();
    await write();
    assert.match(file.text, /slow-option/);
  });

  it('blames no service when a check during the search for the refused one comes to no result', async () => {
    const { file, status, want, write } = openWriter();
    want('api', {}, '', 'no-such-option');
    want('slow', {}, 'slow-option');
    file.refused.add('no-such-option');
    const judge = file.check;
    file.check = async () => Promise.reject(new Error('the check came to no result'));
    await assert.rejects(write(), /no result/);
    assert.deepEqual(status().quarantined, {});
    file.check = judge;
    await write();
    assert.deepEqual(Object.keys(status().quarantined), ['api']);
  });

  it('tries servers with refused options again when their time has come', async () => {
    const { file, writer, status, want, write } = openWriter();
    file.refused.add('no-such-option');
    want('api', {}, '', 'no-such-option');
    await write();
    assert.deepEqual(Object.keys(status().quarantined), ['api']);
    assert.match(file.text, /server \S+8000/);
    assert.doesNotMatch(file.text, /no-such-option/);
    file.refused.clear();
    time.now = 60_000;
    assert.equal(writer.observe(), true);
    await write();
    assert.match(file.text, /no-such-option/);
    assert.deepEqual(status().quarantined, {});
  });

  it('keeps a configuration that is refused as a whole away from the file until it is time to try again', async () => {
    const { file, events, writer, phase, status, want, write } = openWriter();
    file.refused.add('defaults');
    want('api', {});
    await write();
    assert.equal(phase(), 'refused');
    assert.equal(status().rejected, 'bad defaults');
    const calls = file.calls.length;
    await write();
    assert.equal(file.calls.length, calls);
    file.refused.clear();
    time.now = 60_000;
    assert.equal(writer.observe(), true);
    assert.equal(status().rejected, 'bad defaults');
    await write();
    assert.equal(status().rejected, null);
    assert.equal(phase(), 'written');
    assert.deepEqual(
      events.map(({ type }) => type),
      ['rejected', 'written'],
    );
  });

  it('puts the last good file back when HAProxy does not load the first configuration, and tries again later', async () => {
    const { file, writer, phase, status, want, write } = openWriter();
    want('api', {});
    await write();
    await writer.rollBack({ message: 'port in use', output: '' }, signal);
    assert.equal(file.calls.at(-1), 'restore');
    assert.deepEqual([phase(), status().rejected, status().generation], ['rolled-back', 'port in use', null]);
    time.now = 4_999;
    assert.equal(writer.observe(), false);
    time.now = 5_000;
    assert.equal(writer.observe(), true);
    await write();
    writer.loaded();
    assert.deepEqual([phase(), status().rejected], ['loaded', null]);
  });

  it('leaves out the service that HAProxy did not load, and goes back to its last good spec', async () => {
    const { file, writer, phase, status, want, write } = openWriter();
    want('api', {});
    await write();
    writer.loaded();
    assert.equal(phase(), 'loaded');
    want('web', { port: 80 });
    await write();
    assert.equal(phase(), 'written');
    await writer.rollBack({ message: 'port in use', output: '' }, signal);
    assert.deepEqual(Object.keys(status().quarantined), ['web']);
    assert.doesNotMatch(file.text, /backend web/);
    assert.equal(phase(), 'loaded');
  });

  it('writes a bounded number of log lines when records ask for other refused options again and again', async () => {
    const { log, lines } = recordingLog();
    // As the whole log of synapse is limited.
    const { file, status, want, write } = openWriter({ log: limitEachMessage(log) });
    file.refused.add('evil');
    want('web', {}, '');
    const rounds = 1_000;
    for (let count = 0; count < rounds; count += 1) {
      want('api', {}, '', `evil${count}`);
      await write();
      assert.match(status().quarantined.api ?? '', /bad evil/);
    }
    assert.doesNotMatch(file.text, /evil/);
    assert.match(file.text, /backend web/);
    const quarantined = lines.filter(({ message }) => /quarantined because of their options/.test(message));
    assert.equal(quarantined.length, serviceLogLimit.burst);
    assert.ok(lines.length <= 2 * serviceLogLimit.burst, `${lines.length} lines`);
    // The newest reason is told once more, with the number of those in between.
    time.now += 1_000;
    want('api', {}, '', 'evil again');
    await write();
    assert.equal(lines.at(-1)?.fields.omitted, rounds - serviceLogLimit.burst);
    want('api', {}, '');
    await write();
    assert.deepEqual(status().quarantined, {});
  });
});
