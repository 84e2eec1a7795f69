import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Counter } from 'prom-client';
import { createStatsdReport, type StatsdNames } from '../../../common/statsd/report.ts';
import { createStatsdSink } from '../../../common/statsd/statsd.ts';
import { eventually } from '../../support/eventually.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { udpServer } from '../../support/servers/udp-server.ts';

describe('the way to a StatsD server', () => {
  for (const [sentence, host, listens] of [
    ['an address', '127.0.0.1', '127.0.0.1'],
    ['an address of IPv6', '::1', '::1'],
    ['a name, where IPv4 comes first', 'localhost', '127.0.0.1'],
  ] as const) {
    it(`may be named by ${sentence}`, async () => {
      const server = await udpServer({ host: listens });
      const { log } = recordingLog();
      const sink = createStatsdSink({ host, port: server.port }, { log });
      await eventually(() => {
        sink.send(['a:1|c']);
        assert.ok(server.lines.length > 0);
      });
      await sink.end(['last:1|c']);
      await eventually(() => assert.equal(server.lines.at(-1), 'last:1|c'));
      await server.close();
    });
  }

  it('takes thousands of lines in packets that fit into a frame', async () => {
    const server = await udpServer();
    const { log } = recordingLog();
    const sink = createStatsdSink({ host: '127.0.0.1', port: server.port }, { log });
    const lines = Array.from({ length: 500 }, (_, index) => `synapse.watcher.ping.count:1|c|#watcher_name:s${index}`);
    sink.send(lines);
    await eventually(() => assert.deepEqual(server.lines, lines));
    assert.ok(server.largest <= 1_432, `${server.largest}`);
    await sink.end([]);
    await server.close();
  });

  it('may be closed while nobody listens, and open again later', async () => {
    const gone = await udpServer();
    await gone.close();
    const { log, lines } = recordingLog();
    const sink = createStatsdSink({ host: '127.0.0.1', port: gone.port }, { log });
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

  it('may lead to a name that does not exist: that is said once, and holds nobody up', async () => {
    const { log, lines } = recordingLog();
    const sink = createStatsdSink({ host: 'no-such-host.invalid', port: 8125 }, { log });
    await eventually(() => assert.equal(lines.length, 1));
    assert.match(String(lines[0]?.fields.reason), /no-such-host\.invalid cannot be resolved/);
    for (let round = 0; round < 5; round++) sink.send(['lost:1|c']);
    await sink.end(['lost:1|c']);
    assert.equal(lines.length, 1);
  });
});

describe('what is told to a StatsD server', () => {
  const report = (counter: Counter) => {
    const names: StatsdNames = {
      program: 'nerve',
      counters: [{ counter, name: 'told', tags: ({ how = '' }) => (how === 'no' ? undefined : { how }) }],
      round: () => [['ping', {}]],
    };
    return createStatsdReport(names, { log: recordingLog().log });
  };

  it('is the start, the steps of each counter once, a ping in each round, and the stop', async () => {
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

  it('goes on when what is asked fails: a daemon must not end because of it', async () => {
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
    const statsd = createStatsdReport(names, { log });
    statsd.configure({ host: '127.0.0.1', port: server.port, sample_rate: {} });
    await eventually(() => assert.ok(lines.length >= 2));
    assert.deepEqual([...new Set(lines.map(({ fields }) => fields.reason))], ['no counter', 'no health']);
    broken = false;
    counter.inc(3);
    await eventually(() => assert.ok(server.lines.includes('told:3|c')));
    await statsd.end();
    await server.close();
  });

  it('is nothing of before, when the section is added later; and it may move to another server', async () => {
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
