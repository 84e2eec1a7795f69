import assert from 'node:assert/strict';
import fc from 'fast-check';
import { aborted } from '../../common/async/abort.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { FrameReader, JuteReader, JuteWriter } from '../../common/zookeeper/jute.ts';
import { openSession } from '../../common/zookeeper/session.ts';
import { decodeName, readNodes } from '../../synapse/discovery/sources/zookeeper/records.ts';
import {
  openReply,
  replyHead,
  type ScriptedZookeeper,
  startScriptedZookeeper,
} from '../support/servers/scripted-zookeeper.ts';
import { property, propertyWith } from './property.ts';

const path = '/services/api';
const length = fc.oneof(
  fc.constantFrom(0, 1, 2, -1, -2, 2 ** 31 - 1, -(2 ** 31), 1 << 26, (1 << 26) + 1),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
);
const bytes = fc.uint8Array({ maxLength: 40 }).map((part) => Buffer.from(part));
const name = fc.oneof(
  fc.constantFrom('', '/', '..', 'a/b', '__proto__', 'n_0000000001', '\0'),
  fc.string({ maxLength: 9 }),
);

/** The body of a reply: a right one for some request, or one whose lengths lie. */
const body = fc
  .oneof(
    fc
      .array(name, { maxLength: 4 })
      .map((names) => names.reduce((all, one) => all.string(one), new JuteWriter().int(names.length))),
    bytes.map((data) => new JuteWriter().buffer(data)),
    fc.constant(new JuteWriter()),
    fc
      .tuple(length, fc.array(length, { maxLength: 3 }))
      .map(([first, more]) => more.reduce((all, one) => all.int(one), new JuteWriter().int(first))),
  )
  .map((writer) => writer.frame().subarray(4));

/** A message to a client that has sent `xid` requests. */
type Message = (xid: number) => Buffer;
const reply = fc
  .tuple(
    fc.oneof(
      { weight: 6, arbitrary: fc.constant<number | undefined>(undefined) },
      fc.constantFrom(-4, -2, 0, 1, 2, 3, 99),
      length,
    ),
    fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.constantFrom(-101, -102, -4, -112, 5), length),
    body,
  )
  .map(
    ([given, error, rest]): Message =>
      (xid) =>
        framed(
          Buffer.concat([
            replyHead(given ?? xid, error)
              .frame()
              .subarray(4),
            rest,
          ]),
        ),
  );
const event = fc
  .tuple(
    fc.oneof(fc.constantFrom(-1, 1, 2, 3, 4), length),
    length,
    fc.oneof(fc.constantFrom(path, `${path}/a`, '', '__proto__'), fc.string()),
  )
  .map(
    ([type, state, at]): Message =>
      () =>
        replyHead(-1).int(type).int(state).string(at).frame(),
  );
const nonsense = fc.oneof(
  bytes.map(
    (part): Message =>
      () =>
        part,
  ),
  bytes.map(
    (part): Message =>
      () =>
        framed(part),
  ),
  fc.tuple(length, bytes).map(
    ([size, part]): Message =>
      () =>
        Buffer.concat([new JuteWriter().int(size).frame().subarray(4), part]),
  ),
);
const usual = fc.oneof({ weight: 8, arbitrary: reply }, { weight: 3, arbitrary: event }, nonsense);
/** Sometimes bytes of it change, or its end is missing. */
const message = fc.oneof(
  { weight: 5, arbitrary: usual },
  fc.tuple(usual, fc.nat(200), fc.nat(255)).map(
    ([make, at, byte]): Message =>
      (xid) => {
        const changed = Buffer.from(make(xid));
        if (changed.length > 0) changed[at % changed.length] = byte;
        return changed;
      },
  ),
  fc.tuple(usual, fc.nat(60)).map(
    ([make, end]): Message =>
      (xid) =>
        make(xid).subarray(0, end),
  ),
);
const opening = fc.oneof(
  { weight: 9, arbitrary: fc.constant(openReply(60_000)) },
  length.map(openReply),
  nonsense.map((make) => make(0)),
);

interface Conversation {
  readonly opening: Buffer;
  /** The messages after each request. */
  readonly messages: readonly (readonly Message[])[];
}
const conversation: fc.Arbitrary<Conversation> = fc.record({
  opening,
  messages: fc.array(fc.array(message, { minLength: 1, maxLength: 3 }), { minLength: 3, maxLength: 3 }),
});

function framed(part: Buffer): Buffer {
  return Buffer.concat([new JuteWriter().int(part.length).frame().subarray(4), part]);
}

async function endsWithAReason({ opening: first, messages }: Conversation, server: ScriptedZookeeper): Promise<void> {
  let sent = 0;
  server.script = (_, index) => {
    const parts = index === 0 ? [first] : (messages[index - 1] ?? []).map((make) => make(index));
    const all = Buffer.concat(parts);
    sent += all.length;
    return all;
  };
  const end = new AbortController();
  const options = { host: '127.0.0.1', port: server.port, timeoutMs: 200 };
  try {
    const session = await openSession(options, end.signal);
    const called: string[] = [];
    const children = session.children(path, () => called.push('children'));
    const data = session.data(`${path}/a`, () => called.push('data'));
    const exists = session.exists('/b', () => called.push('exists'));
    // What waits for a reply that never comes ends with the session.
    const asked = Promise.allSettled([children, data, exists]);
    setImmediate(() => setTimeout(() => end.abort(), 5));
    const [names, read, there] = await asked;
    end.abort();
    await aborted(session.ended);
    assert.ok(reasonOf(session.ended.reason).length > 0);
    if (names.status === 'fulfilled') {
      const list = names.value ?? [];
      assert.ok(list.length * 4 <= sent);
      for (const one of list) assert.ok(one !== '' && !one.includes('/'));
    }
    if (read.status === 'fulfilled') assert.ok(read.value === undefined || read.value.length <= sent);
    if (there.status === 'fulfilled') assert.equal(typeof there.value, 'boolean');
    for (const one of [names, read, there]) {
      if (one.status === 'rejected') assert.ok(one.reason instanceof Error && reasonOf(one.reason) !== '');
    }
    assert.equal(new Set(called).size, called.length, 'a watch fires once');
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    assert.match(reasonOf(error), /^ZooKeeper at 127\.0\.0\.1:\d+: ./);
  } finally {
    end.abort();
  }
}

function readsOrRefuses(part: Buffer): void {
  for (const read of ['int', 'long', 'buffer', 'string', 'strings'] as const) {
    try {
      const reader = new JuteReader(part);
      const found = reader[read]();
      if (typeof found === 'object') assert.ok(found.length <= part.length);
    } catch (error) {
      assert.match((error as Error).message, /^ZooKeeper sent /);
    }
  }
}

const json = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)),
  fc.string(),
  fc.nat(80).map((depth) => '['.repeat(depth)),
);
const member = fc
  .record({
    serviceEndpoint: fc.oneof(
      fc.record({ host: fc.oneof(fc.constant('h'), fc.jsonValue()), port: fc.oneof(fc.constant(80), fc.jsonValue()) }),
      fc.jsonValue(),
    ),
    status: fc.oneof(fc.constantFrom<unknown>('ALIVE', { toString: 1 }), fc.jsonValue()),
    shard: fc.oneof(fc.integer(), fc.jsonValue()),
  })
  .map((value) => JSON.stringify(value));
const encoded = fc.tuple(json, fc.integer({ min: -2, max: 2 })).map(([text, wrong]) => {
  const base64 = Buffer.from(text).toString('base64url');
  return `base64_${base64.length + wrong}_${base64}_0000000007`;
});

export const properties = [
  property(
    'whatever bytes ZooKeeper sends, reading them ends with a value no larger than they are, or with a reason',
    fc.uint8Array({ maxLength: 60 }),
    (part) => readsOrRefuses(Buffer.from(part)),
  ),
  property(
    'frames are the same however they arrive, and a length that is too large ends the stream',
    fc.tuple(
      fc.array(bytes, { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 20 }),
      length,
    ),
    ([parts, sizes, last]) => {
      const stream = Buffer.concat([...parts.map(framed), new JuteWriter().int(last).frame().subarray(4)]);
      const frames: Buffer[] = [];
      const reader = new FrameReader(1_000, (frame) => frames.push(frame));
      const pushAll = (): void => {
        for (let at = 0, i = 0; at < stream.length; at += sizes[i++ % sizes.length] as number)
          reader.push(stream.subarray(at, at + (sizes[i % sizes.length] as number)));
      };
      if (last < 0 || last > 1_000) assert.throws(pushAll, /a frame of -?\d+ bytes: at most 1000 are read/);
      else pushAll();
      assert.deepEqual(frames.slice(0, parts.length), parts);
    },
    { cases: 200 },
  ),
  property(
    'the nodes of a service are instances or rejected records',
    fc.array(fc.tuple(fc.oneof(name, encoded), fc.oneof(json, member)), { maxLength: 6 }),
    (nodes) => {
      for (const decode of [{ method: 'nerve' }, { method: 'serverset' }] as const) {
        const known = new Map(nodes.map(([at, text]) => [at, decodeName(at) ?? Buffer.from(text)]));
        const { instances, rejected } = readNodes(known, { path, decode });
        assert.equal(instances.length + rejected.length, known.size);
        for (const { port, host } of instances) assert.ok(Number.isInteger(port) && port > 0 && host !== '');
        for (const { reason } of rejected) assert.ok(reason !== '' && !/primitive|call stack/.test(reason), reason);
      }
    },
  ),
  propertyWith(
    'whatever a ZooKeeper server replies, each request ends and a session that is over says why',
    { open: startScriptedZookeeper, close: (server) => server.close() },
    conversation,
    endsWithAReason,
    { cases: 60 },
  ),
];
