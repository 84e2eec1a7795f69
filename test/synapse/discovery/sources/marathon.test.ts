import assert from 'node:assert/strict';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { makeSource, runSource, type SourceRun } from '../../../support/daemons/source-run.ts';
import { until } from '../../../support/until.ts';

const startedAt = '2026-11-01T10:00:00.000Z';
const agouti = { id: 'api.1', host: 'agouti.local', ports: [31336, 31337], startedAt };
const beaver = { id: 'api.2', host: 'beaver.local', ports: [31400], startedAt };

/** JavaScript cannot make a text of it. */
const odd = { toString: 1 };

describe('the source marathon', () => {
  let server: Server;
  let url: string;
  let paths: string[];
  let answer: (response: ServerResponse) => void;
  let runs: SourceRun[];

  const tasks = (...list: object[]): void => {
    answer = (response) => response.end(JSON.stringify({ tasks: list }));
  };
  beforeEach(async () => {
    paths = [];
    runs = [];
    tasks();
    server = createServer((request, response) => {
      paths.push(request.url ?? '');
      answer(response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    await Promise.all(runs.map((run) => run.stop()));
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const start = async (more: object = {}): Promise<SourceRun> => {
    const options = { marathon_api_url: url, application_name: 'api', check_interval: '50ms', timeout: '5s', ...more };
    const run = await runSource('marathon', options);
    runs.push(run);
    return run;
  };

  const cases: readonly (readonly [
    name: string,
    list: readonly object[],
    options: object,
    ids: readonly string[],
    rejected: number,
  ])[] = [
    [
      'started tasks, in order',
      [beaver, agouti],
      {},
      ['agouti.local_agouti.local:31336', 'beaver.local_beaver.local:31400'],
      0,
    ],
    ['another of the ports', [agouti], { port_index: 1 }, ['agouti.local_agouti.local:31337'], 0],
    ['a port that a task does not have', [agouti, beaver], { port_index: 1 }, ['agouti.local_agouti.local:31337'], 1],
    ['no tasks that have not started', [{ ...agouti, startedAt: null }], {}, [], 0],
    ['no host that is none', [{ ...agouti, host: 'a b' }], {}, [], 1],
    ['nothing', [], {}, [], 0],
    ['no task that is no object', [agouti, 7 as unknown as object], {}, ['agouti.local_agouti.local:31336'], 1],
    ...[{ id: odd }, { id: odd, host: odd }, { host: odd }, { ports: odd }, { ports: [odd] }].map(
      (fields) =>
        [
          `the other tasks beside one with ${JSON.stringify(fields)}`,
          [{ ...beaver, host: 'a b', ...fields }, agouti],
          {},
          ['agouti.local_agouti.local:31336'],
          1,
        ] as const,
    ),
    ['a task whose start time is no text', [{ ...agouti, startedAt: odd }], {}, ['agouti.local_agouti.local:31336'], 0],
  ];
  for (const [name, list, options, ids, rejected] of cases) {
    it(`finds ${name}`, async () => {
      tasks(...list);
      const run = await start(options);
      await until(() => run.sets.length > 0);
      assert.deepEqual(run.ids(), ids);
      assert.equal(run.sets[0]?.rejected.length, rejected);
    });
  }

  it('requests the tasks at the path of the application', async () => {
    const run = await start({ application_name: 'team/api 1' });
    await until(() => run.sets.length > 0);
    assert.equal(paths[0], '/v2/apps/team/api%201/tasks');
  });

  const faults: readonly (readonly [name: string, answer: (response: ServerResponse) => void, reason: RegExp])[] = [
    ['an error', (response) => response.writeHead(503).end(), /status 503/],
    ['half an answer', (response) => response.end('{"tasks": [{"host"'), /JSON/],
    [
      'an answer that is cut off',
      (response) => response.writeHead(200).write('{"tasks": [', () => response.destroy()),
      /terminated/,
    ],
    [
      'an answer that is nested too deeply',
      (response) => response.end(`{"tasks": ${'['.repeat(99)}`),
      /32 levels deep/,
    ],
    ['an answer of another kind', (response) => response.end('{"message": "hello"}'), /no list of tasks/],
    ['a hang', () => {}, /no answer within 500ms/],
  ];
  for (const [name, fault, reason] of faults) {
    it(`${name} keeps the last set, is the reason in the status, and ends when a good answer comes`, async () => {
      tasks(agouti);
      const run = await start({ timeout: '500ms' });
      await until(() => run.sets.length > 0);
      answer = fault;
      await until(() => reason.test(run.source.status?.().reason ?? ''));
      assert.equal(run.sets.length, 1);
      tasks(agouti, beaver);
      await until(() => run.sets.length > 1);
      assert.equal(run.source.status?.().reason, null);
      assert.equal(run.sets[1]?.instances[0], run.sets[0]?.instances[0], 'an equal instance is the same object');
    });
  }

  for (const key of ['marathon_api_url', 'application_name']) {
    it(`refuses options without ${key}`, async () => {
      const options = { marathon_api_url: url, application_name: 'api', [key]: undefined };
      await assert.rejects(makeSource('marathon', options), new RegExp(`${key}: is required`));
    });
  }
});
