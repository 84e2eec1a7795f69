import fc from 'fast-check';
import { HostileSite, hostileNames, ours, type Write } from '../support/daemons/hostile-site.ts';
import { document } from '../support/haproxy/published-documents.ts';
import { randomRecord } from '../support/haproxy/random-records.ts';
import { haproxyVersions } from '../support/haproxy/versions.ts';
import { propertyWith } from './property.ts';

/** No address that leads out of this machine: HAProxy may check the hosts. */
const hosts = [
  '127.0.9.9',
  '127.0.9.8',
  '127.0.0.1',
  '::1',
  'localhost',
  '0.0.0.0',
  '::',
  '224.0.0.9',
  ...hostileNames,
];
/** Stand for the ports of {@link HostileSite.ownPorts}, which a value cannot know. */
const ownPort = [1, 2, 3];

/** What strangers do. */
type Step =
  | { readonly do: 'announce'; readonly fields: Readonly<Record<string, unknown>>; readonly folder: string }
  | { readonly do: 'write'; readonly key: string; readonly value: string }
  /** Other options of a server that runs already: each change takes a reload. */
  | { readonly do: 'change'; readonly server: number; readonly rise: number }
  | { readonly do: 'delete'; readonly key: number }
  | { readonly do: 'publish'; readonly text: string | null };

const fields = randomRecord({ hosts, ports: ownPort });
const folder = fc.oneof({ weight: 4, arbitrary: fc.constant('') }, fc.constantFrom('deep/', 'a/b/', '../theirs/', '/'));
const text = fc.oneof(
  document.map((value) => JSON.stringify(value)),
  fc.string({ maxLength: 40 }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('announce' as const), fields, folder }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      key: fc.string({ maxLength: 20 }),
      value: fc.oneof(
        fc.string({ unit: 'binary', maxLength: 60 }),
        fields.map((value) => JSON.stringify(value)),
        fc.constantFrom('['.repeat(5_000), `{"host":"127.0.9.9","port":9,"name":"${'x'.repeat(9_000)}"}`),
      ),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('change' as const),
      server: fc.nat({ max: 2 }),
      rise: fc.integer({ min: 1, max: 99 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), key: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('publish' as const), text: fc.option(text) }) },
);

/** Plays what strangers do, in order. */
async function play(steps: readonly Step[], site: HostileSite): Promise<void> {
  const keys: string[] = [];
  let pending: Write[] = [];
  for (const each of steps) {
    if (each.do === 'publish') {
      await site.write(pending);
      pending = [];
      await site.publish(each.text);
      continue;
    }
    const write = writeOf(each, keys, site.ownPorts);
    if (write[1] !== null) keys.push(write[0]);
    pending.push(write);
  }
  await site.write(pending);
  await site.assertUnharmed();
  await site.recover();
  await site.assertUnharmed();
}

function writeOf(step: Exclude<Step, { do: 'publish' }>, keys: readonly string[], ownPorts: readonly number[]): Write {
  switch (step.do) {
    case 'delete':
      return [keys[step.key % Math.max(1, keys.length)] ?? ours, null];
    case 'change': {
      const [name, host, port] = [`change${step.server}`, '127.0.9.7', 9];
      const record = { name, host, port, haproxy_server_options: `check rise ${step.rise}` };
      return [`${ours}${name}_${host}:${port}`, JSON.stringify(record)];
    }
    case 'write':
      return [`${ours}${step.key}`, step.value];
    case 'announce': {
      const { host, port: given, name } = step.fields;
      const port = ownPorts[ownPort.indexOf(given as number)] ?? given;
      const [place, prefix] = [
        `${textOf(host)}:${textOf(port)}`,
        name === '' || name === undefined ? '' : textOf(name),
      ];
      const id = prefix === '' ? place : `${prefix}_${place}`;
      return [`${ours}${step.folder}${id}`, JSON.stringify({ ...step.fields, port })];
    }
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export const properties = haproxyVersions.map((version) =>
  propertyWith(
    `strangers reach nothing but their own service in a running synapse and HAProxy ${version}, and no other one feels them`,
    { open: () => HostileSite.open(version), close: (site) => site.close() },
    fc.array(step, { minLength: 60, maxLength: 150 }),
    play,
    { cases: 2 },
  ),
);
