// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are what is tested
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { interpolate } from '../../../common/config/interpolate.ts';
import type { Problem } from '../../../common/config/problem.ts';

const env = { HOST: '10.0.0.5', EMPTY: '', TRICK: '${HOST}' };

describe('interpolate', () => {
  const cases: readonly [text: string, expected: string][] = [
    ['${HOST}', '10.0.0.5'],
    ['http://${HOST}:${PORT:-80}/', 'http://10.0.0.5:80/'],
    ['${NOPE:-}', ''],
    ['${EMPTY}', ''],
    ['${EMPTY:-x}', 'x'],
    ['$${HOST}', '${HOST}'],
    ['${TRICK}', '${HOST}'],
    ['$HOST and ${ HOST } and ${1} and $', '$HOST and ${ HOST } and ${1} and $'],
    ['${NOPE:-a:-b}', 'a:-b'],
    ['<%= ENV[\'HOST\'] %>:<%=ENV["HOST"]-%>', '10.0.0.5:10.0.0.5'],
    ["<%= ENV.fetch('HOST') %> <%= ENV.fetch('NOPE', 'x') %>", '10.0.0.5 x'],
    ["<%= ENV['TRICK'] %>", '${HOST}'],
    ['<%ci> %%> <%%', '<%ci> %%> <%%'],
  ];
  for (const [text, expected] of cases) {
    it(`makes ${JSON.stringify(expected)} of ${JSON.stringify(text)}`, () => {
      const problems: Problem[] = [];
      assert.deepEqual(interpolate({ a: [text] }, { env }, problems), { a: [expected] });
      assert.deepEqual(problems, []);
    });
  }

  it('replaces only ERB in raw options', () => {
    const value = { global: ["stats socket <%= ENV['HOST'] %>/${HOST}"] };
    assert.deepEqual(interpolate(value, { env, raw: ['global'] }, []), { global: ['stats socket 10.0.0.5/${HOST}'] });
  });

  it('refuses Ruby code', () => {
    const problems: Problem[] = [];
    interpolate({ a: '<%= `hostname` %>', b: ["<% if ENV['X'] %>"], c: "<%= ENV['NOPE'] %>" }, { env }, problems);
    assert.deepEqual(
      problems.map(({ path, message }) => [path, message.slice(0, 16)]),
      [
        ['a', 'Ruby code cannot'],
        ['b[0]', 'Ruby code cannot'],
        ['c', 'environment vari'],
      ],
    );
  });

  it('reports every variable that is not set, with its option', () => {
    const problems: Problem[] = [];
    interpolate({ services: { api: { host: '${A}', checks: [{ uri: '/${B}' }], 'x.y': '${C}' } } }, { env }, problems);
    assert.deepEqual(
      problems.map(({ path, message }) => [path, /variable (\w+) is not set/.exec(message)?.[1]]),
      [
        ['services.api.host', 'A'],
        ['services.api.checks[0].uri', 'B'],
        ['services.api["x.y"]', 'C'],
      ],
    );
  });

  it('replaces nothing in raw options and below them', () => {
    const value = {
      haproxy: { global: ['${A}'], extra: { 'listen x': ['$${A}'] }, path: '${HOST}' },
      services: { api: { haproxy: { listen: ['${A}'] }, listen: '${HOST}' }, haproxy: { listen: '${HOST}' } },
      bind_options: '${A}',
    };
    const raw = ['haproxy.global', 'haproxy.extra', 'services.*.haproxy.listen', 'bind_options'];
    const problems: Problem[] = [];
    assert.deepEqual(interpolate(value, { env, raw }, problems), {
      haproxy: { global: ['${A}'], extra: { 'listen x': ['$${A}'] }, path: '10.0.0.5' },
      services: { api: { haproxy: { listen: ['${A}'] }, listen: '10.0.0.5' }, haproxy: { listen: '10.0.0.5' } },
      bind_options: '${A}',
    });
    assert.deepEqual(problems, []);
  });

  it('matches patterns from the root also for a part of the configuration', () => {
    const options = { env, raw: ['services.*.haproxy.listen'], keys: ['services', 'api'] };
    assert.deepEqual(interpolate({ haproxy: { listen: ['${A}'] }, host: '${HOST}' }, options, []), {
      haproxy: { listen: ['${A}'] },
      host: '10.0.0.5',
    });
  });

  it('never changes keys or values that are not strings', () => {
    const value = { '${HOST}': 1, a: true, b: null, c: 1.5 };
    assert.deepEqual(interpolate(value, { env }, []), value);
  });
});
