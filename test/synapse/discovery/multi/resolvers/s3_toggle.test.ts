import assert from 'node:assert/strict';
import { after, afterEach, before, describe, it } from 'node:test';
import { validate } from '../../../../../common/config/config.ts';
import type { ChildView } from '../../../../../synapse/discovery/multi/resolver.ts';
import { drawSource, readWeights } from '../../../../../synapse/discovery/multi/resolvers/s3_toggle/weights.ts';
import { resolver, type S3ToggleOptions } from '../../../../../synapse/discovery/multi/resolvers/s3_toggle.ts';
import { Shared } from '../../../../../synapse/discovery/shared.ts';
import { recordingLog } from '../../../../support/process/recording-log.ts';
import { type S3Server, startS3Server } from '../../../../support/servers/s3-server.ts';
import { until } from '../../../../support/until.ts';

const names = ['secondary', 'primary'];
const has = (name: string, instances = 1): ChildView => ({ name, answered: true, instances, lackingSince: null });
const silent = (name: string): ChildView => ({ name, answered: false, instances: 0, lackingSince: 0 });
const all = [has('primary'), has('secondary')];

describe('the weights of s3_toggle', () => {
  const accepted: readonly [text: string, picks: readonly (string | undefined)[]][] = [
    ['{"primary":0,"secondary":100}', ['secondary', 'secondary', 'secondary']],
    ['primary: 1\nsecondary: 1\n', ['primary', 'secondary', 'secondary']],
    ['primary: 0\nsecondary: 0\n', [undefined, undefined, undefined]],
    ['{}', [undefined, undefined, undefined]],
    ['', [undefined, undefined, undefined]],
    ['null', [undefined, undefined, undefined]],
  ];
  for (const [text, picks] of accepted) {
    it(`${JSON.stringify(text)} draw ${picks.join(', ')}`, () => {
      const weights = readWeights(text, names);
      assert.deepEqual(
        [0, 0.5, 0.999].map((random) => drawSource(weights, random)),
        picks,
      );
    });
  }
  const refused: readonly [text: string, message: RegExp][] = [
    ['primary: 0.5', /^primary: a weight is a whole number/],
    ['primary: -1', /^primary: a weight is a whole number/],
    ['primary: "1"', /^primary: a weight is a whole number/],
    ['primary: [1]', /^primary: a weight is a whole number/],
    ['[[primary, 1]]', /must be an object/],
    ['third: 1', /no source is called "third"; the sources are secondary, primary/],
    ['primary: {', /not valid YAML/],
  ];
  for (const [text, message] of refused) {
    it(`${JSON.stringify(text)} is refused`, () => {
      assert.throws(
        () => readWeights(text, names),
        (error) => message.test((error as Error).message),
      );
    });
  }
});

describe('the resolver s3_toggle', () => {
  const environment = { ...process.env };
  let server: S3Server;
  let ends: AbortController[] = [];

  before(async () => {
    server = await startS3Server();
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: server.endpoint,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'key',
      AWS_SECRET_ACCESS_KEY: 'secret',
    });
  });
  after(async () => {
    for (const name of ['AWS_ENDPOINT_URL', 'AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) {
      if (environment[name] === undefined) delete process.env[name];
      else process.env[name] = environment[name];
    }
    await server.close();
  });
  afterEach(() => {
    for (const end of ends) end.abort();
    ends = [];
  });

  const optionsOf = (given: object): S3ToggleOptions => {
    const problems: { path: string; message: string }[] = [];
    const options = validate(resolver.schema, given, { path: '', problems });
    if (problems.length > 0) throw new Error(problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
    return options;
  };

  /** A resolver that follows `key`; `asked` counts how often it asked for another decision. */
  const start = (key: string, shared = new Shared()) => {
    const end = new AbortController();
    const user = {};
    ends.push(end);
    end.signal.addEventListener('abort', () => shared.release(user));
    const { log, lines } = recordingLog();
    const options = optionsOf({ s3_url: `s3://bucket/${key}`, s3_polling_interval_seconds: 0.05 });
    const decide = resolver.create(options, names);
    const self = { decide, lines, asked: 0 };
    const context = {
      log,
      shared: <T>(name: string, make: (signal: AbortSignal, own: typeof log) => T) =>
        shared.get(user, name, (signal) => make(signal, log)),
    };
    decide.follow?.(() => self.asked++, context, end.signal);
    return self;
  };

  it('the source that the object chooses takes over once it has instances, and the other is stopped', async () => {
    server.objects.set('bucket/some/where', 'secondary: 1');
    const { decide } = start('some/where');
    await until(() => decide(all, 0).use?.[0] === 'secondary');
    server.objects.set('bucket/some/where', 'primary: 1\nsecondary: 0');
    const empty = [has('primary', 0), has('secondary')];
    await until(() => decide(empty, 0).ask[0] === 'primary');
    assert.deepEqual(decide(empty, 0), { use: undefined, ask: ['primary'] });
    assert.deepEqual(decide([silent('primary'), has('secondary')], 0), { use: undefined, ask: ['primary'] });
    assert.deepEqual(decide(all, 0), { use: ['primary'], ask: ['primary'] });
    assert.deepEqual(decide(empty, 0), { use: ['primary'], ask: ['primary'] }, 'a source in use may become empty');
  });

  it('uses the primary when S3 has not answered after 3 s', async () => {
    const { decide, lines } = start('missing');
    assert.deepEqual(decide(all, 1_000), { use: undefined, ask: ['primary'], at: 4_000 });
    assert.deepEqual(decide(all, 4_000), { use: ['primary'], ask: ['primary'] });
    await until(() =>
      lines.some(({ fields }) => /s3:\/\/bucket\/missing|NoSuchKey|does not exist/.test(JSON.stringify(fields))),
    );
  });

  it('unchanged weights are not drawn again, and unusable ones leave the choice alone', async () => {
    server.objects.set('bucket/key', 'secondary: 1');
    const self = start('key');
    await until(() => self.asked === 1);
    const calls = server.calls.get('bucket/key') ?? 0;
    await until(() => (server.calls.get('bucket/key') ?? 0) > calls + 2);
    assert.equal(self.asked, 1);
    for (const text of ['primary: 1.5', '', 'third: 1']) {
      const before = self.asked;
      server.objects.set('bucket/key', text);
      await until(() => self.asked > before);
      assert.deepEqual(self.decide(all, 0).use, ['secondary']);
    }
    assert.ok(self.lines.some(({ fields }) => /whole number/.test(String(fields.reason))));
    server.objects.delete('bucket/key');
    await until(() => self.lines.some(({ fields }) => /does not exist/.test(String(fields.reason))));
    assert.deepEqual(self.decide(all, 0).use, ['secondary']);
  });

  it('services that follow the same object share one poller', async () => {
    server.objects.set('bucket/shared', 'secondary: 1');
    const shared = new Shared();
    const first = start('shared', shared);
    await until(() => first.asked === 1);
    const second = start('shared', shared);
    assert.equal(second.asked, 1, 'known weights are handed over at once');
  });

  const wrong: readonly [name: string, options: object, message: RegExp][] = [
    ['no object', { s3_polling_interval_seconds: 1 }, /s3_url: is required/],
    ['a bucket alone', { s3_url: 's3://my_bucket', s3_polling_interval_seconds: 1 }, /s3_url: must be s3:/],
    ['no interval', { s3_url: 's3://my-bucket/a' }, /s3_polling_interval_seconds: is required/],
    ['an interval of 0', { s3_url: 's3://my-bucket/a', s3_polling_interval_seconds: 0 }, /s3_polling_interval_seconds/],
  ];
  for (const [name, options, message] of wrong) {
    it(`refuses ${name}`, () => {
      assert.throws(() => optionsOf(options), message);
    });
  }

  it('takes bucket names with an underscore, which S3 allowed earlier', () => {
    const { s3_url } = optionsOf({ s3_url: 's3://my_bucket/object_path/child', s3_polling_interval_seconds: 1 });
    assert.deepEqual(s3_url, { bucket: 'my_bucket', key: 'object_path/child' });
  });
});
