import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Counter } from 'prom-client';
import { type StatsdNames, StatsdReporter } from '../../../common/statsd/reporter.ts';
import { StatsdSink } from '../../../common/statsd/sink.ts';
import { eventually } from '../../support/eventually.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { udpServer } from '../../support/servers/udp-server.ts';

describe('a StatsD sink', () => {
  for (const [sentence, host, listens] of [
    ['an IPv4 address', '127.0.0.1', '127.0.0.1'],
    ['an IPv6 address', '::1', '::1'],
    ['a name, at its IPv4 address first', 'localhost', '127.0.0.1'],
  ] as const) {
    it(`sends to ${sentence}`, async () => {
      const server = await udpServer({ host: listens });
      const { log } = recordingLog();
      const sink = new StatsdSink({ host, port: server.port }, { log });
      await eventually(() => {
        sink.send(['a:1|c']);
        assert.ok(server.lines.length > 0);
      });
      await sink.end(['last:1|c']);
      await eventually(() => assert.equal(server.lines.at(-1), 'last:1|c'));
      await server.close();
    });
  }

  it('sends many lines in packets that fit into an Ethernet frame', async () => {
    const server = await udpServer();
    const { log } = recordingLog();
    const sink = new StatsdSink({ host: '127.0.0.1', port: server.port }, { log });
    const lines = Array.from({ length: 500 }, (_, index) => `synapse.watcher.ping.count:1|c|#watcher_name:s${index}`);
    sink.send(lines);
    await eventually(() => assert.deepEqual(server.lines, lines));
    assert.ok(server.largest <= 1_432, `${server.largest}`);
    await sink.end([]);
    await server.close();
  });

  it('reaches a server that starts later, and logs nothing meanwhile', async () => {
    const gone = await udpServer();
    await gone.close();
    const { log, lines } = recordingLog();
    const sink = new StatsdSink({ host: '127.0.0.1', port: gone.port }, { log });
    for (let round = 0; round < 5; round++) sink.send(['lost:1|c']);
    const back = await udpServer({ port: gone.port });
    await eventually(() => {
      sink.send(['a:1|c']);
      assert.ok(back.lines.includes('a:1|c'));
    });
    await sink.end([]);
    await back.close();
    assert.deepEqual(lines, []);
  });

  it('logs once that a name cannot be resolved, and does not wait for it', async () => {
    const { log, lines } = recordingLog();
    const sink = new StatsdSink({ host: 'no-such-host.invalid', port: 8125 }, { log });
    await eventually(() => assert.equal(lines.length, 1));
    assert.match(String(lines[0]?.fields.reason), /no-such-host\.invalid cannot be resolved/);
    for (let round = 0; round < 5; round++) sink.send(['lost:1|c']);
    await sink.end(['lost:1|c']);
    assert.equal(lines.length, 1);
  });
});

describe('a StatsD reporter', () => {
  const report = (counter: Counter) => {
    const names: StatsdNames = {
      program: 'nerve',
      counters: [{ counter, name: 'told', tags: ({ how = '' }) => (how === 'no' ? undefined : { how }) }],
      round: () => [['ping', {}]],
    };
    return new StatsdReporter(names, { log: recordingLog().log });
  };

  it('sends the start, the steps of each counter once, a ping in each round, and the stop', async () => {
    const server = await udpServer();
    const counter = new Counter({ name: 'told_total', help: 'x', labelNames: ['how'], registers: [] });
    counter.inc({ how: 'well' }, 2);
    counter.inc({ how: 'no' }, 2);
    const statsd = report(counter);
    statsd.configure({ host: '127.0.0.1', port: server.port, sample_rate: {} });
    await eventually(() => assert.ok(server.lines.includes('told:2|c|#how:well')));
    counter.inc({ how: 'well' }, 5);
    await statsd.end();
    await eventually(() => assert.ok(server.lines.some((line) => line.startsWith('nerve.stop'))));
    const told = server.lines.filter((line) => !line.startsWith('ping'));
    assert.deepEqual(told, [
      'nerve.start:1|c',
      'told:2|c|#how:well',
      'told:5|c|#how:well',
      'nerve.stop:1|c|#stop_avenue:clean,stop_location:main_loop',
    ]);
    assert.ok(server.lines.includes('ping:1|c'));
    await server.close();
  });

  it('logs counters that cannot be read once, and goes on', async () => {
    const server = await udpServer();
    const { log, lines } = recordingLog();
    const counter = new Counter({ name: 'told_total', help: 'x', registers: [] });
    let broken = true;
    const sick = {
      get: async () => {
        if (broken) throw new Error('no counter');
        return counter.get();
      },
    };
    const round = (): [string, Record<string, string>][] => {
      if (broken) throw new Error('no health');
      return [];
    };
    const names = { program: 'nerve', counters: [{ counter: sick, name: 'told', tags: () => ({}) }], round };
    const statsd = new StatsdReporter(names, { log });
    statsd.configure({ host: '127.0.0.1', port: server.port, sample_rate: {} });
    await eventually(() => assert.ok(lines.length >= 2));
    assert.deepEqual([...new Set(lines.map(({ fields }) => fields.reason))], ['no counter', 'no health']);
    broken = false;
    counter.inc(3);
    await eventually(() => assert.ok(server.lines.includes('told:3|c')));
    await statsd.end();
    await server.close();
  });

  it('sends nothing of the time before the section was added, and moves to another server', async () => {
    const servers = [await udpServer(), await udpServer()] as const;
    const counter = new Counter({ name: 'told_total', help: 'x', labelNames: ['how'], registers: [] });
    counter.inc({ how: 'before' });
    const statsd = report(counter);
    statsd.configure(undefined);
    statsd.configure({ host: '127.0.0.1', port: servers[0].port, sample_rate: {} });
    await eventually(() => assert.ok(servers[0].lines.includes('ping:1|c')));
    statsd.configure({ host: '127.0.0.1', port: servers[1].port, sample_rate: { ping: 1 } });
    counter.inc({ how: 'after' });
    await eventually(() => assert.ok(servers[1].lines.includes('told:1|c|#how:after')));
    await statsd.end();
    assert.ok(!servers.some(({ lines }) => lines.some((line) => /before|start/.test(line))));
    for (const server of servers) await server.close();
  });
});
