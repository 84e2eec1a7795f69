import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIP, isIPv4 } from 'node:net';
import fc from 'fast-check';
import { reasonOf } from '../../common/daemon/log.ts';
import { isHost, isPort } from '../../common/instance.ts';
import { createResolver, lookUpAddress } from '../../common/net/dns.ts';
import { candidatesOf, createNameLookup, parseHosts, parseSearch } from '../../common/net/name-lookup.ts';
import { runSource } from '../support/daemons/source-run.ts';
import { memoryFiles } from '../support/machine/memory-files.ts';
import { until } from '../support/until.ts';
import { property, propertyWith } from './property.ts';

/** A name server that answers every question with the same records, as far as its type allows. */
interface NameServer {
  readonly address: string;
  answer: Answer;
  close(): Promise<void>;
}

interface Answer {
  /** The second pair of bytes of the header: flags and response code. */
  readonly flags: number;
  /** How many records the header promises, beside those that are there. */
  readonly more: number;
  readonly records: readonly ((type: number) => Buffer)[];
  /** How many bytes at the end are missing. */
  readonly cut: number;
}

async function openServer(): Promise<NameServer> {
  const socket = createSocket('udp4');
  socket.on('message', (question, peer) => {
    const { flags, more, records, cut } = self.answer;
    let end = 12;
    while ((question[end] ?? 0) > 0) end += 1 + (question[end] as number);
    const header = Buffer.alloc(12);
    question.copy(header, 0, 0, 2);
    header.writeUInt16BE(flags, 2);
    header.writeUInt16BE(1, 4);
    header.writeUInt16BE((records.length + more) & 0xffff, 6);
    const type = question.readUInt16BE(end + 1);
    const whole = Buffer.concat([header, question.subarray(12, end + 5), ...records.map((make) => make(type))]);
    socket.send(whole.subarray(0, whole.length - cut), peer.port, peer.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const self: NameServer = {
    address: `127.0.0.1:${socket.address().port}`,
    answer: { flags: 0x8183, more: 0, records: [], cut: 0 },
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
  return self;
}

const word = (value: number): Buffer => Buffer.from([(value >> 8) & 255, value & 255]);
const label = fc.oneof(
  fc.constantFrom('a', 'web', '_http', '*', ' ', '\0', '.', 'a.b', '\\', '\n', 'x'.repeat(63), '-', '1'),
  fc.string({ minLength: 1, maxLength: 6 }),
);
/** A name in the wire format: labels, pointers also to itself, or nonsense. */
const wireName = fc.oneof(
  { weight: 4, arbitrary: fc.constant(Buffer.from([0xc0, 0x0c])) },
  fc
    .array(label, { maxLength: 4 })
    .map((labels) =>
      Buffer.concat([
        ...labels
          .map((one) => Buffer.from(one).subarray(0, 63))
          .map((one) => Buffer.concat([Buffer.from([one.length]), one])),
        Buffer.from([0]),
      ]),
    ),
  fc.integer({ min: 0xc000, max: 0xffff }).map(word),
  fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
);
const number = fc.oneof(fc.constantFrom(0, 1, 80, 255, 256, 65_535), fc.nat(65_535));
/** The target `a.test`, mostly. */
const target = fc.oneof({ weight: 9, arbitrary: fc.constant(Buffer.from('\x01a\x04test\0')) }, wireName);
const service = fc
  .tuple(number, number, number, target)
  .map(([priority, weight, port, name]) => Buffer.concat([word(priority), word(weight), word(port), name]));
/** Mostly what is asked for: one record that cannot be read spoils the whole answer. */
const rarely = <T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 40, arbitrary: usual }, { weight: 1, arbitrary: odd });
const bytesOf = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes));
const strangeData = fc.tuple(
  fc.constantFrom(1, 5, 28, 33, 41, 6, 999),
  fc.oneof(
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    wireName,
  ),
);
const ttl = fc.oneof(fc.constantFrom(0, 1, 60, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1), fc.nat(86_400));
const record = fc
  .record({
    owner: rarely(fc.constant(Buffer.from([0xc0, 0x0c])), wireName),
    ipv4: bytesOf(4),
    ipv6: bytesOf(16),
    service,
    strange: rarely<readonly [number, Buffer] | undefined>(fc.constant(undefined), strangeData),
    ttl,
    lie: rarely(fc.constant(0), fc.integer({ min: -4, max: 300 })),
  })
  .map(({ owner, ipv4, ipv6, service: srv, strange, ttl: given, lie }) => (asked: number): Buffer => {
    const usual = asked === 33 ? srv : asked === 28 ? ipv6 : ipv4;
    const [type, data] = strange ?? [asked, usual];
    const seconds = Buffer.alloc(4);
    seconds.writeUInt32BE(given);
    return Buffer.concat([owner, word(type), word(1), seconds, word(Math.max(0, data.length + lie)), data]);
  });
const answer: fc.Arbitrary<Answer> = fc.record({
  flags: fc.oneof({ weight: 30, arbitrary: fc.constant(0x8180) }, fc.constantFrom(0x8183, 0x8182, 0x8185, 0x8580)),
  more: fc.oneof({ weight: 30, arbitrary: fc.constant(0) }, fc.constantFrom(-1, 1, 60_000)),
  records: fc.array(record, { maxLength: 5 }),
  cut: fc.oneof({ weight: 30, arbitrary: fc.constant(0) }, fc.nat(20)),
});

const never = new AbortController().signal;
const timeoutMs = 800;

/** Calls and expects a result, or an error with a reason. */
async function resultOf<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    assert.ok(error instanceof Error && !(error instanceof TypeError || error instanceof RangeError), String(error));
    assert.ok(reasonOf(error) !== '');
    return undefined;
  }
}

async function findsAddresses(given: Answer, server: NameServer): Promise<void> {
  server.answer = given;
  const resolver = createResolver([server.address], timeoutMs);
  const lookUp = createNameLookup({ files: memoryFiles() });
  const found = await Promise.all([
    ...(['address', 'a', 'aaaa'] as const).map((kind) => resultOf(lookUpAddress(resolver, 'web.test', kind))),
    resultOf(lookUp('web.test', { nameservers: [server.address], timeoutMs, prefer: 'ipv4' }, never)),
  ]);
  for (const one of found) {
    if (one === undefined) continue;
    const { addresses, ttlSeconds } = one;
    assert.ok(addresses.length > 0 && addresses.length <= given.records.length * 2);
    assert.ok(
      addresses.every((address) => isIP(address) !== 0),
      String(addresses),
    );
    assert.deepEqual(addresses, [...new Set(addresses)].sort());
    assert.ok(ttlSeconds >= 0 && ttlSeconds < 2 ** 32, `${ttlSeconds} s`);
  }
  assert.ok((found[1]?.addresses ?? []).every(isIPv4));
}

async function publishesInstances(given: Answer, server: NameServer): Promise<void> {
  server.answer = given;
  const run = await runSource('dns', {
    host: 'web.test',
    record: 'srv',
    nameserver: server.address,
    timeout: `${timeoutMs}ms`,
    nxdomain: 'empty',
  });
  try {
    await until(() => run.sets.length > 0 || run.source.status?.().reason !== 'the DNS has not answered yet');
    for (const { host, port, name, weight = 1, id } of run.sets.at(-1)?.instances ?? []) {
      assert.ok(isIP(host) !== 0 && isHost(host) && isPort(port), id);
      assert.match(name, /^[A-Za-z0-9_.:-]{0,128}$/);
      assert.ok(Number.isInteger(weight) && weight >= 1 && weight <= 256);
    }
    for (const { reason } of run.sets.at(-1)?.rejected ?? []) assert.ok(reason !== '');
    const reason = run.source.status?.().reason ?? '';
    assert.doesNotMatch(reason, /is not a function|Cannot (read|convert|set)|call stack|Invalid (array|string)/);
  } finally {
    await run.stop();
  }
}

const lineWords = fc.array(
  fc.oneof(
    fc.constantFrom(
      'search',
      'domain',
      'options',
      'ndots:3',
      'ndots:99',
      'ndots:x',
      'a.test',
      'A.TEST.',
      '10.0.0.1',
      '::1',
      'fe80::1%eth0',
      '#',
      ';',
      '.',
      '',
      '__proto__',
      'x'.repeat(300),
    ),
    fc.string({ maxLength: 8 }),
  ),
  { maxLength: 6 },
);
const file = fc.array(lineWords, { maxLength: 5 }).map((lines) => lines.map((words) => words.join(' ')).join('\n'));

const resource = { open: openServer, close: (server: NameServer) => server.close() };

export const properties = [
  property(
    'whatever /etc/hosts and /etc/resolv.conf have, names lead to addresses, and searched names are short',
    file,
    (text) => {
      for (const addresses of parseHosts(text).values()) {
        assert.ok(addresses.length > 0 && addresses.every((address) => isIP(address) !== 0));
      }
      const rules = parseSearch(text);
      assert.ok(rules.ndots >= 0 && rules.ndots <= 15);
      const names = candidatesOf('web', rules);
      assert.equal(names.includes('web'), true);
      assert.ok(names.length <= rules.domains.length + 1 && names.every((name) => name.length <= 253));
    },
  ),
  propertyWith(
    'whatever a name server answers, a lookup finds addresses with a time to live, or says why not',
    resource,
    answer,
    findsAddresses,
    { cases: 30 },
  ),
  propertyWith(
    'whatever SRV records a name has, the source dns publishes usable instances, or says why not',
    resource,
    answer,
    publishesInstances,
    { cases: 20 },
  ),
];
