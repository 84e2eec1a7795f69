import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  announcedAtOf,
  formatInstance,
  isHost,
  makeInstance,
  maxRecordBytes,
  parseInstance,
  readRecord,
  sameInstance,
} from '../../common/instance.ts';
import { InvalidRecord } from '../../common/instance-fields.ts';

const good = { host: '10.0.0.1', port: 3000, name: 'i-1' };

describe('parseInstance', () => {
  const hostile: readonly [sentence: string, value: string, message: RegExp][] = [
    ['text that is not JSON', 'hello', /not JSON: "hello"/],
    ['an empty value', '', /not JSON/],
    ['a JSON number', '5', /must be an object/],
    ['null', 'null', /must be an object/],
    ['a list', '[1]', /must be an object/],
    ['more bytes than are read', JSON.stringify({ ...good, x: 'a'.repeat(maxRecordBytes) }), /at most 65536/],
    ['no host', '{"port":1}', /host undefined: must be/],
    ['a host that is a number', '{"host":1,"port":1}', /host 1: must be/],
    ['a host with a newline', '{"host":"a\\nserver evil","port":1}', /host "a\\nserver evil"/],
    ['a host with a space', '{"host":"a b","port":1}', /host "a b"/],
    ['a host with a quote', '{"host":"a\\"","port":1}', /host/],
    ['an address that does not exist', '{"host":"10.0.0.256","port":1}', /host "10.0.0.256"/],
    ['an IPv6 zone', '{"host":"fe80::1%eth0","port":1}', /host/],
    ['a host name of 254 characters', JSON.stringify({ host: `${'a.'.repeat(126)}aa`, port: 1 }), /host/],
    ['no port', '{"host":"a"}', /port undefined: must be a whole number from 1 to 65535/],
    ['port 0', '{"host":"a","port":0}', /port 0/],
    ['port 65536', '{"host":"a","port":65536}', /port 65536/],
    ['a port with a fraction', '{"host":"a","port":1.5}', /port 1.5/],
    ['a port with letters', '{"host":"a","port":"80x"}', /port "80x"/],
    ['a port in hexadecimal', '{"host":"a","port":"0x50"}', /port "0x50"/],
    ['a negative port', '{"host":"a","port":-1}', /port -1/],
  ];
  const checkMessage = (text: string, expected: RegExp): void => {
    assert.match(text, expected);
    assert.ok(text.length < 300, 'a message must not carry a megabyte');
    assert.ok(!text.includes('\n'), 'one line');
  };
  const refuses = (read: () => unknown, message: RegExp): void =>
    assert.throws(read, (error: Error) => {
      assert.ok(error instanceof InvalidRecord);
      checkMessage(error.message, message);
      return true;
    });
  for (const [sentence, value, message] of hostile) {
    it(`refuses ${sentence}`, () => refuses(() => parseInstance(value), message));
  }

  const wrong: readonly [sentence: string, value: string, message: RegExp][] = [
    ['a name with a space', '{"host":"a","port":1,"name":"x y"}', /name "x y"/],
    ['a name with a slash', '{"host":"a","port":1,"name":"x/y"}', /name "x\/y"/],
    ['a name with a newline', '{"host":"a","port":1,"name":"x\\n"}', /name/],
    ['a name that is an object', '{"host":"a","port":1,"name":{}}', /name \{\}: must be a string/],
    ['a name of 129 characters', JSON.stringify({ host: 'a', port: 1, name: 'x'.repeat(129) }), /name/],
    ['weight 257', '{"host":"a","port":1,"weight":257}', /weight 257: must be a whole number from 0 to 256/],
    ['a negative weight', '{"host":"a","port":1,"weight":-1}', /weight -1/],
    ['a weight with a fraction', '{"host":"a","port":1,"weight":"1.5"}', /weight "1.5"/],
    ['a weight that is an object', '{"host":"a","port":1,"weight":{}}', /weight/],
    ['an unknown state', '{"host":"a","port":1,"state":"maybe"}', /state "maybe": must be up, drain or down/],
    ['a backup that is a string', '{"host":"a","port":1,"backup":"yes"}', /backup "yes"/],
    [
      'options with a newline',
      '{"host":"a","port":1,"haproxy_server_options":"check\\nuser root"}',
      /haproxy_server_options/,
    ],
    ['options with a quote', '{"host":"a","port":1,"haproxy_server_options":"check \\"x"}', /haproxy_server_options/],
    [
      'options with a comment sign',
      '{"host":"a","port":1,"haproxy_server_options":"check # x"}',
      /haproxy_server_options/,
    ],
    ['labels that are a list', '{"host":"a","port":1,"labels":["x"]}', /labels/],
    ['a label that is a number', '{"host":"a","port":1,"labels":{"az":1}}', /labels\."az" 1: must be a string/],
    ['a label with a control character', '{"host":"a","port":1,"labels":{"az":"a\\u0000"}}', /control characters/],
    [
      '65 labels',
      JSON.stringify({ ...good, labels: Object.fromEntries([...Array(65).keys()].map((i) => [i, ''])) }),
      /65 of them/,
    ],
    ['a label of 1025 characters', JSON.stringify({ ...good, labels: { x: 'a'.repeat(1025) } }), /too long/],
    [
      'options of 1025 characters',
      JSON.stringify({ ...good, haproxy_server_options: 'a'.repeat(1025) }),
      /at most 1024/,
    ],
    ['options that are a number', '{"host":"a","port":1,"haproxy_server_options":5}', /haproxy_server_options 5/],
    ['weight 1000', '{"host":"a","port":1,"weight":1000}', /weight 1000/],
    ['weight abc', '{"host":"a","port":1,"weight":"abc"}', /weight "abc"/],
  ];
  for (const [sentence, value, message] of wrong) {
    it(`leaves out ${sentence} and keeps the instance, while a configuration with it is refused`, () => {
      const record = JSON.parse(value);
      const { dropped = [], ...instance } = parseInstance(value);
      assert.equal(dropped.length, 1);
      checkMessage(dropped[0] ?? '', message);
      const name = /^name/.test(dropped[0] ?? '') ? '' : (record.name ?? '');
      const { host, port } = record;
      assert.deepEqual(instance, {
        ...makeInstance({ host, port, name }),
        ...(instance.labels !== undefined && { labels: instance.labels }),
      });
      // The original ignores such options there too.
      if (typeof record.haproxy_server_options !== 'number') refuses(() => readRecord(record), message);
    });
  }

  it('keeps the other labels and fields of a record that has a wrong one', () => {
    const text =
      '{"host":"a","port":1,"weight":0.5,"backup":true,"labels":{"az":"x","n":1},"haproxy_server_options":"check"}';
    const { labels, weight, backup, serverOptions, dropped } = parseInstance(text);
    assert.deepEqual(
      [{ ...labels }, weight, backup, serverOptions, dropped?.length],
      [{ az: 'x' }, undefined, true, 'check', 2],
    );
  });

  it('gives a bounded number of reasons', () => {
    const labels = Object.fromEntries([...Array(64).keys()].map((index) => [index, index]));
    assert.equal(parseInstance(JSON.stringify({ ...good, labels })).dropped?.length, 8);
  });

  it('differs from the same instance without a wrong field', () => {
    const [plain, flawed] = [{ ...good }, { ...good, weight: 'x' }].map((each) => parseInstance(JSON.stringify(each)));
    assert.ok(plain !== undefined && flawed !== undefined);
    assert.deepEqual([sameInstance(plain, flawed), sameInstance(flawed, { ...flawed })], [false, true]);
  });

  it("reads the original's record, with strings of digits, and ignores fields it does not know", () => {
    const value =
      '{"host":"server","port":"8888","name":"server","weight":"1","haproxy_server_options":"backup","labels":{"az":"us-east-1a"},"skipGc":true}';
    const instance = parseInstance(Buffer.from(value));
    assert.equal(instance.id, 'server_server:8888');
    assert.equal(instance.port, 8888);
    assert.equal(instance.weight, 1);
    assert.equal(instance.serverOptions, 'backup');
    assert.equal(instance.labels?.az, 'us-east-1a');
    assert.equal(instance.state, 'up');
    assert.ok(Object.isFrozen(instance));
  });

  it('takes a label named __proto__ as a label', () => {
    const { labels } = parseInstance('{"host":"a","port":1,"labels":{"__proto__":"x"}}');
    assert.deepEqual(Object.entries(labels ?? {}), [['__proto__', 'x']]);
    assert.equal(({} as Record<string, unknown>).x, undefined);
  });

  it('reads what formatInstance wrote', () => {
    const instance = makeInstance({ ...good, state: 'drain', backup: true, weight: 0, labels: { az: 'a' } });
    assert.deepEqual(parseInstance(formatInstance(instance)), instance);
  });
});

describe('formatInstance', () => {
  it("writes the original's keys in its order, and only what is set", () => {
    const fields = { host: '10.0.0.1', port: 3000, name: 'i-1' };
    assert.equal(formatInstance(makeInstance(fields)), '{"host":"10.0.0.1","port":3000,"name":"i-1"}');
    assert.equal(
      formatInstance(makeInstance({ ...fields, weight: 2, labels: { az: 'a' }, serverOptions: 'backup' })),
      '{"host":"10.0.0.1","port":3000,"name":"i-1","weight":2,"haproxy_server_options":"backup","labels":{"az":"a"}}',
    );
    assert.equal(
      formatInstance(makeInstance({ ...fields, backup: true, state: 'down' })),
      '{"host":"10.0.0.1","port":3000,"name":"i-1","backup":true,"state":"down"}',
    );
  });
});

describe('announcedAtOf', () => {
  const at = '2026-01-02T03:04:05.678Z';
  const values: readonly [value: string, at: string | null][] = [
    [formatInstance(makeInstance({ host: 'a', port: 1 }), at), at],
    [formatInstance(makeInstance({ host: 'a', port: 1 })), null],
    ['{"announced_at":"2026-13-02T03:04:05.678Z"}', null],
    ['{"announced_at":"2026-01-02T03:04:05.678Z\\n"}', null],
    ['{"announced_at":1767323045}', null],
    ['null', null],
    ['what?', null],
    [`{"announced_at":"${at}","more":"${'x'.repeat(70_000)}"}`, null],
  ];
  for (const [value, expected] of values) {
    it(`finds ${expected ?? 'no time'} in ${value.slice(0, 60)}`, () => assert.equal(announcedAtOf(value), expected));
  }

  it('takes no part in the instance', () => {
    const instance = makeInstance({ host: 'a', port: 1 });
    assert.deepEqual(parseInstance(formatInstance(instance, at)), instance);
  });
});

describe('isHost', () => {
  const hosts: readonly [string, boolean][] = [
    ['10.0.0.1', true],
    ['::1', true],
    ['2001:db8::1', true],
    ['localhost', true],
    ['api.example.com.', true],
    ['my_container', true],
    ['1.2.3', false],
    ['-a', false],
    ['a..b', false],
    ['', false],
    ['[::1]', false],
  ];
  for (const [host, expected] of hosts) {
    it(`says ${expected} of ${JSON.stringify(host)}`, () => assert.equal(isHost(host), expected));
  }
});
