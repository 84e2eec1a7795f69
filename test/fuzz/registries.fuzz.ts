import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { isHost, isPort } from '../../common/instance.ts';
import { runSource, type SourceRun } from '../support/daemons/source-run.ts';
import { until } from '../support/until.ts';
import { type FuzzProperty, propertyWith } from './property.ts';

/** A registry that answers with any text, and a source that polls it fast. */
interface Registry {
  readonly run: SourceRun;
  /** Starts another source. */
  start(): Promise<SourceRun>;
  /** What lists are answered with. */
  text: string;
  /** How many answers were sent. */
  readonly answered: number;
  close(): Promise<void>;
}

type Start = (port: number) => Promise<SourceRun>;

/** Answers every request with the text; a stream of events of Docker stays open. */
async function openRegistry(start: Start): Promise<Registry> {
  const streams = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { 'content-type': 'text/xml' });
    if (request.url?.startsWith('/events')) {
      response.flushHeaders();
      streams.add(response);
      response.on('close', () => streams.delete(response));
      return;
    }
    response.end(self.text);
    self.answered += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const self = {
    text: '',
    answered: 0,
    run: undefined as unknown as SourceRun,
    start: () => start((server.address() as AddressInfo).port),
    async close() {
      await self.run.stop();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  self.run = await self.start();
  return self;
}

/** Waits for two answers that began after the text was set: the source has read the first of them. */
async function publishesOrSaysWhy(text: string, registry: Registry): Promise<void> {
  registry.text = text;
  const before = registry.answered;
  await until(() => registry.answered >= before + 3);
  assertFit(registry.run);
}

/** A source of its own for each answer: this one waits for longer after an answer that it cannot use. */
async function publishesOrSaysWhyAtOnce(text: string, registry: Registry): Promise<void> {
  registry.text = text;
  const run = await registry.start();
  try {
    await until(() => run.sets.length > 0 || run.source.status?.().reason !== 'has not answered yet');
    assertFit(run);
  } finally {
    await run.stop();
  }
}

function assertFit(run: SourceRun): void {
  const { instances = [], rejected = [] } = run.sets.at(-1) ?? {};
  for (const { host, port, name, labels = {} } of instances) {
    assert.ok(isHost(host) && isPort(port), `${host}:${port}`);
    assert.match(name, /^[A-Za-z0-9_.:-]{0,128}$/);
    for (const value of Object.values(labels)) assert.equal(typeof value, 'string');
  }
  assert.equal(new Set(instances.map(({ id }) => id)).size, instances.length);
  for (const { where, reason } of rejected) {
    assert.ok(where.length <= 301 && !/\p{Cc}/u.test(where), where);
    assert.ok(reason !== '' && reason.length <= 2_000, reason);
    assertClear(reason);
  }
  const status = run.source.status?.().reason ?? null;
  if (status !== null) assertClear(status);
}

/** Not what JavaScript says when code takes a value for one of another type. */
function assertClear(reason: string): void {
  assert.doesNotMatch(
    reason,
    /is not a function|Cannot (read|convert|set)|not iterable|call stack|Invalid (array|string)/,
  );
}

const hostile = ['', ' ', '\n', '\0', '__proto__', 'constructor', '../..', '10.0.0.1:80', '\u202e', 'x'.repeat(70_000)];
const strange = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<unknown>,
  fc.constantFrom<unknown>(...hostile, { toString: 1 }, { toString: null, valueOf: 0 }, { length: 9 }, [[[]]]),
  fc.integer({ min: 30, max: 5_000 }).map((depth) => new Raw('['.repeat(depth) + ']'.repeat(depth))),
);
/** JSON that is too deep to be made from a value. */
class Raw {
  readonly #text: string;
  constructor(text: string) {
    this.#text = text;
  }
  toJSON(): string {
    return `raw:${this.#text}`;
  }
}
const jsonOf = (value: unknown): string => JSON.stringify(value).replaceAll(/"raw:([[\]]*)"/g, '$1');
const mostly = <T>(usual: fc.Arbitrary<T>, weight = 8) =>
  fc.oneof({ weight, arbitrary: usual as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: strange });
const some = (fields: Record<string, fc.Arbitrary<unknown>>) => fc.record(fields, { requiredKeys: [] });
const text = fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.string({ maxLength: 6 }), fc.constantFrom(...hostile));
const host = mostly(fc.constantFrom('10.0.0.1', '10.0.0.2', '::1', 'a.test'));
const port = mostly(
  fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 65_535 }) }, fc.constantFrom(0, -1, 65_536, 1.5, 1e300)),
);
const list = <T>(entry: fc.Arbitrary<T>) => mostly(fc.array(mostly(entry), { maxLength: 6 }), 12);

const task = fc.record({
  id: mostly(text),
  host,
  ports: mostly(fc.array(port, { minLength: 1, maxLength: 3 })),
  startedAt: mostly(fc.constantFrom('2026-11-01T10:00:00.000Z', '2026-11-02T10:00:00.000Z', null)),
});
const tasks = mostly(some({ tasks: list(task) }), 12).map(jsonOf);

const container = fc.record(
  {
    Id: mostly(fc.constantFrom('1', '2', '3'), 30),
    Names: mostly(fc.array(mostly(text), { maxLength: 2 })),
    Image: mostly(fc.constantFrom('api:1', 'api@sha256:0', 'api', 'registry:5000/api')),
    Labels: mostly(some({ az: mostly(text), __proto__: mostly(text) })),
    Ports: mostly(
      fc.array(
        mostly(
          fc.record({
            PrivatePort: mostly(fc.constant(80)),
            PublicPort: port,
            Type: mostly(fc.constant('tcp')),
            IP: host,
          }),
        ),
        { maxLength: 3 },
      ),
    ),
    NetworkSettings: mostly(some({ Networks: mostly(some({ bridge: mostly(some({ IPAddress: host })) })) })),
  },
  { requiredKeys: ['Id', 'Image', 'Ports'] },
);
const containers = fc
  .oneof({ weight: 12, arbitrary: fc.array(container, { maxLength: 6 }) as fc.Arbitrary<unknown> }, list(container))
  .map(jsonOf);

const escaped = (value: string): string =>
  value
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll(/[^\t\n\r\x20-\ud7ff\ue000-\ufffd]/g, '');
const leaf = fc.oneof(
  { weight: 6, arbitrary: text.map(escaped) },
  fc.constantFrom(
    '<x/>',
    '<item/>',
    '<item><x>1</x></item><item/>',
    '&#0;',
    '&undefined;',
    'true',
    '12',
    '<![CDATA[a]]>',
  ),
);
const element = (name: string, inner: fc.Arbitrary<string>) =>
  fc.oneof(
    { weight: 9, arbitrary: inner.map((value) => `<${name}>${value}</${name}>`) },
    fc.constantFrom(
      '',
      `<${name}/>`,
      `<${name}>x</${name}>`,
      `<${name}><item/></${name}>`,
      `<${name} a="b"/><${name}/>`,
    ),
  );
const all = (...parts: fc.Arbitrary<string>[]) => fc.tuple(...parts).map((made) => made.join(''));
const items = (inner: fc.Arbitrary<string>) =>
  fc.array(element('item', inner), { maxLength: 4 }).map((made) => made.join(''));
const tag = all(
  element('key', fc.oneof(fc.constantFrom('service', 'az'), leaf)),
  element('value', fc.oneof(fc.constant('api'), leaf)),
);
const machine = all(
  element('instanceId', leaf),
  element('instanceState', element('name', fc.oneof({ weight: 6, arbitrary: fc.constant('running') }, leaf))),
  element('privateDnsName', leaf),
  element('privateIpAddress', fc.oneof({ weight: 4, arbitrary: fc.constantFrom('10.0.0.1', '10.0.0.2', '::1') }, leaf)),
  element('launchTime', fc.oneof({ weight: 9, arbitrary: fc.constant('2026-11-01T10:00:00.000Z') }, leaf)),
  element('placement', element('availabilityZone', leaf)),
  element(
    'tagSet',
    fc.oneof(
      { weight: 6, arbitrary: items(tag).map((more) => `<item><key>service</key><value>api</value></item>${more}`) },
      items(tag),
      leaf,
    ),
  ),
);
const reservations = fc
  .oneof(
    {
      weight: 12,
      arbitrary: all(
        element('reservationSet', items(element('instancesSet', items(machine)))),
        fc.oneof({ weight: 9, arbitrary: fc.constant('') }, element('nextToken', leaf)),
      ),
    },
    leaf,
  )
  .map((body) => `<?xml version="1.0"?><DescribeInstancesResponse>${body}</DescribeInstancesResponse>`);
const machines = fc.oneof(
  { weight: 12, arbitrary: reservations },
  fc.string(),
  fc.constantFrom('{}', '<a>', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
);

const pace = { check_interval: '1ms', timeout: '5s' };
const sources: readonly (readonly [title: string, start: Start, answers: fc.Arbitrary<string>])[] = [
  [
    'Marathon',
    (at) => runSource('marathon', { marathon_api_url: `http://127.0.0.1:${at}`, application_name: 'api', ...pace }),
    tasks,
  ],
  [
    'a Docker engine',
    (at) =>
      runSource('docker', { host: `http://127.0.0.1:${at}`, image_name: 'api', labels: ['az', '__proto__'], ...pace }),
    containers,
  ],
  [
    'EC2',
    (at) =>
      runSource('ec2tag', {
        endpoint: `http://127.0.0.1:${at}`,
        tag_name: 'service',
        tag_value: 'api',
        port: 80,
        labels: ['az'],
        aws_region: 'us-east-1',
        aws_access_key_id: 'AKIDEXAMPLE',
        aws_secret_access_key: 'EXAMPLE',
        ...pace,
      }),
    machines,
  ],
];

export const properties: readonly FuzzProperty[] = sources.map(([title, start, answers]) =>
  propertyWith(
    `whatever ${title} answers, its source publishes usable instances, rejects others with reasons, and goes on`,
    { open: () => openRegistry(start), close: (registry) => registry.close() },
    answers,
    title === 'a Docker engine' ? publishesOrSaysWhyAtOnce : publishesOrSaysWhy,
    { cases: 30 },
  ),
);
