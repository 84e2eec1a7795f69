import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatProblem, type Problem } from '../../../common/config/problem.ts';
import { isRequired, type Schema, type ValidateOptions, validate } from '../../../common/config/schema.ts';

interface Options {
  readonly host: string;
  readonly port: number;
  readonly timeout: number;
  readonly mode: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly note: string | null;
  readonly password: string | null;
  readonly key: string | null;
  readonly twice: number;
  readonly flag: boolean;
}

const schema: Schema<Options> = {
  host: { doc: '', format: 'host', default: null },
  port: { doc: '', format: 'port', default: 80 },
  timeout: { doc: '', format: 'duration', default: 100 },
  mode: { doc: '', format: ['http', 'tcp'], default: 'http' },
  labels: { doc: '', format: 'labels', default: undefined },
  note: { doc: '', format: 'optional-string', default: null },
  password: { doc: '', format: 'optional-string', default: null },
  key: { doc: '', format: 'string', default: null, nullable: true, sensitive: true },
  twice: { doc: '', format: (value) => 2 * Number(value), default: 1 },
  flag: { doc: '', format: Boolean, default: false },
};

const defaults = {
  host: 'h',
  port: 80,
  timeout: 100,
  mode: 'http',
  note: null,
  password: null,
  key: null,
  twice: 1,
  flag: false,
};

function check(value: unknown, options?: ValidateOptions) {
  const problems: Problem[] = [];
  const result = validate(schema, value, { path: 'services.api', problems }, options);
  return { result, problems: problems.map(formatProblem) };
}

describe('validate', () => {
  it('fills in defaults, and leaves out options without one', () => {
    assert.deepEqual(check({ host: 'h' }), { result: defaults, problems: [] });
  });

  it('converts values to their formats', () => {
    const given = { host: 'h', port: '8080', timeout: '2s', labels: { a: 'b' }, key: null, twice: 4, flag: 'yes' };
    const { result, problems } = check(given);
    assert.deepEqual(problems, []);
    assert.deepEqual(result, { ...defaults, port: 8080, timeout: 2000, labels: { a: 'b' }, twice: 8, flag: true });
  });

  it('counts null as not given where the format refuses it', () => {
    const given = { host: 'h', port: null, timeout: null, mode: null, labels: null, note: null, key: null, flag: null };
    assert.deepEqual(check(given), { result: defaults, problems: [] });
    assert.deepEqual(check({ host: null }).problems, [
      'services.api.host: is required: must be an IP address or a host name',
    ]);
    const strict: Schema<{ readonly weight?: number }> = {
      weight: { doc: '', format: 'weight', default: undefined, nullable: false },
    };
    const problems: Problem[] = [];
    validate(strict, { weight: null }, { path: '', problems });
    assert.deepEqual(problems.map(formatProblem), ['weight: must be a whole number from 0 to 256, not null']);
  });

  const wrong: readonly [sentence: string, value: unknown, problems: readonly string[], options?: ValidateOptions][] = [
    ['an option that is missing', {}, ['services.api.host: is required: must be an IP address or a host name']],
    ['a section that is none', 'x', ['services.api: must be an object of options, not "x"']],
    [
      'a value, with what is allowed',
      { host: 'h', port: 99999 },
      ['services.api.port: must be a port, a whole number from 1 to 65535, not 99999'],
    ],
    [
      'a value that is not in the list',
      { host: 'h', mode: 'udp' },
      ['services.api.mode: must be one of "http", "tcp", not "udp"'],
    ],
    ['a value that is no boolean', { host: 'h', flag: 1 }, ['services.api.flag: must be true or false, not 1']],
    [
      'a long value in short',
      { host: 'h', port: 'x'.repeat(1000) },
      [`services.api.port: must be a port, a whole number from 1 to 65535, not "${'x'.repeat(76)}…`],
    ],
    [
      'a secret without its value',
      { host: 'h', password: { secret: 'hunter2' } },
      ['services.api.password: must be a string (put it in quotes)'],
    ],
    [
      'an option marked sensitive without its value',
      { host: 'h', key: 12345 },
      ['services.api.key: must be a string (put it in quotes)'],
    ],
    [
      'the nearest key to one that is unknown',
      { host: 'h', prot: 1 },
      ['services.api.prot: unknown key; did you mean port?'],
    ],
    [
      'all keys when none is near',
      { host: 'h', zzzzzzzz: 1 },
      [
        'services.api.zzzzzzzz: unknown key; known are extra, flag, host, key, labels, mode, note, password, port, timeout, twice',
      ],
      { elsewhere: ['extra'] },
    ],
    [
      'a key of the original with a warning',
      { host: 'h', zk_path: 1 },
      ['services.api.zk_path: warning: zk_path has no meaning here and is ignored, wherever it is'],
      { accepted: ['zk_path'] },
    ],
    [
      'everything at once',
      { port: 0, timeout: 'x', bad: 1 },
      [
        'services.api.host: is required: must be an IP address or a host name',
        'services.api.port: must be a port, a whole number from 1 to 65535, not 0',
        'services.api.timeout: must be a time: a number of seconds, or "500ms", "2s", "1m"; at most 24 days, not "x"',
        'services.api.bad: unknown key; known are flag, host, key, labels, mode, note, password, port, timeout, twice',
      ],
    ],
  ];
  for (const [sentence, value, problems, options] of wrong) {
    it(`reports ${sentence}`, () => assert.deepEqual(check(value, options).problems, problems));
  }

  it('warns once of a key of SmartStack that appears several times', () => {
    const problems: Problem[] = [];
    for (const path of ['services.a', 'services.b']) {
      validate(schema, { host: 'h', zk_path: 1 }, { path, problems }, { accepted: ['zk_path'] });
    }
    assert.equal(problems.length, 1);
  });

  it('keeps objects whole, with dots and dangerous names in their keys', () => {
    const labels = JSON.parse('{"a.b": "1", "constructor": "2", "prototype": "3", "toString": "4"}');
    assert.deepEqual(check({ host: 'h', labels }), { result: { ...defaults, labels }, problems: [] });
    assert.equal(({} as Record<string, unknown>)['a.b'], undefined);
  });

  it('ignores inherited properties', () => {
    const { problems } = check(Object.create({ host: 'inherited' }));
    assert.deepEqual(problems, ['services.api.host: is required: must be an IP address or a host name']);
  });

  it('does not mix the values of two calls', () => {
    check({ host: 'h', port: 0 });
    assert.deepEqual(check({ host: 'h', port: 81 }).result.port, 81);
    assert.deepEqual(check({ host: 'h' }).result.port, 80);
  });
});

describe('isRequired', () => {
  it('is true for options that cannot be left out', () => {
    assert.deepEqual(
      Object.entries(schema)
        .filter(([, property]) => isRequired(property))
        .map(([name]) => name),
      ['host'],
    );
  });
});
