import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseText } from '../../../common/config/parse.ts';
import { formatProblem, type Problem } from '../../../common/config/problem.ts';

function parse(text: string, file: string): { readonly value: unknown; readonly problems: readonly string[] } {
  const problems: Problem[] = [];
  const value = parseText(text, file, problems);
  return { value, problems: problems.map(formatProblem) };
}

describe('parseText', () => {
  const good: readonly [sentence: string, file: string, text: string, value: unknown][] = [
    [
      'JSON with comments and trailing commas',
      'a.json',
      '{ // one\n "a": [1, 2,], /* two */ "b": null, }',
      { a: [1, 2], b: null },
    ],
    ['JSON with a byte order mark', 'a.json', '\uFEFF{"a":1}', { a: 1 }],
    ['YAML', 'a.yaml', 'a: [1, 2]\nb:\n  c: "x"\n', { a: [1, 2], b: { c: 'x' } }],
    ['YAML by its other extension', 'a.yml', 'a: 1', { a: 1 }],
    ['YAML merge keys', 'a.yaml', 'base: &b {x: 1}\na: {<<: *b, y: 2}', { base: { x: 1 }, a: { x: 1, y: 2 } }],
    ['JSON in a file without a known extension', 'a.conf', '// c\n{"a":1,}', { a: 1 }],
    ['YAML in a file without a known extension', 'a.conf', 'a: 1', { a: 1 }],
    ['JSON in a YAML file', 'a.yaml', '{"a": {"b": [true]}}', { a: { b: [true] } }],
    ['an empty JSON file', 'a.json', ' \n', undefined],
    ['an empty YAML file', 'a.yaml', '# nothing\n', null],
    [
      'YAML 1.2: yes and 0x10 and dates',
      'a.yaml',
      'a: yes\nb: 0x10\nc: 2001-01-01',
      { a: 'yes', b: 16, c: '2001-01-01' },
    ],
  ];
  for (const [sentence, file, text, value] of good) {
    it(`reads ${sentence}`, () => assert.deepEqual(parse(text, file), { value, problems: [] }));
  }

  for (const [text, value] of [
    ['{a: 1, "b": {c: [x, y,],}}', { a: 1, b: { c: ['x', 'y'] } }],
    ['{ # why\n\t"a": 1\n}', { a: 1 }],
    ["{'uri': /health}", { uri: '/health' }],
  ] as const) {
    it(`reads ${JSON.stringify(text)} in a JSON file as YAML, with a warning`, () => {
      const read = parse(text, 'a.json');
      assert.deepEqual(read.value, value);
      assert.equal(read.problems.length, 1);
      assert.match(read.problems[0] ?? '', /^a\.json:1:\d+: warning: not valid JSON \(.+\) and read as YAML/);
    });
  }

  const bad: readonly [sentence: string, file: string, text: string, problem: RegExp][] = [
    ['where JSON breaks', 'a.json', '{\n  "a": 1\n  "b": 2\n}', /^a\.json:3:3: not valid JSON: comma expected$/],
    ['JSON that ends too soon', 'a.json', '{"a": ', /^a\.json:1:\d+: not valid JSON/],
    ['a key given twice in JSON', 'a.json', '{"s":\n{"x":1,\n "x":2}}', /^a\.json:3:2: s\.x: is given twice$/],
    ['where YAML breaks', 'a.yaml', 'a: 1\nb: [1\nc: 2\n', /^a\.yaml:3:1: not valid YAML/],
    ['a key given twice in YAML', 'a.yaml', 's:\n  x: 1\n  x: 2\n', /^a\.yaml:3:3: s\.x: is given twice$/],
    [
      'a key given twice in a list in YAML',
      'a.yaml',
      's: [{x: 1, x: 2}]\n',
      /^a\.yaml:1:12: s\[0\]\.x: is given twice$/,
    ],
    ['a variable without quotes in a list', 'a.yaml', `a: [\${HOSTS}]\n`, /put it in quotes: "\$\{HOSTS\}"$/],
    [
      'JSON that YAML reads in another way',
      'a.json',
      '{"a": 1, # one\n // two\n "b": 2}',
      /^a\.json:1:10: not valid JSON/,
    ],
    [
      'a missing comma after a word in JSON',
      'a.json',
      '{"a": null "b": 2}',
      /^a\.json:1:12: not valid JSON: comma expected$/,
    ],
    [
      'a custom tag',
      'a.yaml',
      'a: !ruby/object:Gem {}\n',
      /^a\.yaml:1:4: not valid YAML: Unresolved tag; values that begin with/,
    ],
    [
      'an alias to nothing',
      'a.yaml',
      'a: *b\n',
      /^a\.yaml: not valid YAML: Unresolved alias [^:]*; values that begin with/,
    ],
  ];
  for (const [sentence, file, text, problem] of bad) {
    it(`reports ${sentence}`, () => {
      const { value, problems } = parse(text, file);
      assert.match(problems[0] ?? '', problem);
      if (!/twice/.test(sentence)) assert.equal(value, undefined);
    });
  }

  for (const [file, text] of [
    ['a.json', '{"password": "hunter2'],
    ['a.json', '{"password": hunter2}'],
    ['a.json', '{"password": "a" "hunter2"}'],
    ['a.yaml', 'password: *hunter2'],
    ['a.yaml', 'password: !hunter2 x'],
    ['a.yaml', 'password: "hunter2'],
    ['a.yaml', 'password: [hunter2'],
    ['a.yaml', 'password: %hunter2'],
    ['a.yaml', 'password: @hunter2'],
    ['a.yaml', 'password: a: hunter2'],
    ['a.yaml', 'password: {{ hunter2 }}'],
    ['a.yaml', 'password: [[hunter2]: x]'],
    ['a.yaml', '? [hunter2]\n: x'],
    ['a.yaml', 'password: }hunter2'],
    ['a.yaml', 'password: ]hunter2'],
    ['a.yaml', 'password: [a]hunter2'],
    ['a.yaml', 'password: |hunter2\n x'],
    ['a.yaml', 'password: >hunter2'],
    ['a.yaml', 'password: `hunter2'],
    ['a.yaml', 'password: "a\\qhunter2"'],
    ['a.yaml', 'password: !<hunter2'],
    ['a.yaml', 'password: !!hunter2 x'],
    ['a.yaml', 'password: &hunter2 &hunter2 x'],
    ['a.yaml', '%hunter2\n---\na: 1'],
    ['a.yaml', '- a\nhunter2: b'],
    ['a.yaml', 'a: 1\n--- hunter2\nb'],
    ['a.yaml', '<<: hunter2'],
  ] as const) {
    it(`does not quote a possible password in ${text}`, (t) => {
      const emitted = t.mock.method(process, 'emitWarning', () => {});
      const { value, problems } = parse(text, file);
      if (!/warning: /.test(problems[0] ?? '')) assert.equal(value, undefined);
      assert.equal(emitted.mock.callCount(), 0, 'a warning that goes past the log');
      assert.equal(problems.length > 0, true);
      assert.ok(!problems.join('\n').includes('hunter2'), problems.join('\n'));
    });
  }

  it('refuses YAML aliases that multiply', () => {
    const levels = Array.from({ length: 12 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i}, `.repeat(9)}]`);
    const { value, problems } = parse(`l0: &l0 [x]\n${levels.join('\n')}\n`, 'a.yaml');
    assert.equal(value, undefined);
    assert.match(problems[0] ?? '', /^a\.yaml: not valid YAML: Excessive alias count/);
  });

  for (const [file, text] of [
    ['a.json', '{"__proto__": {"polluted": 1}}'],
    ['a.yaml', '__proto__: {polluted: 1}'],
  ] as const) {
    it(`keeps __proto__ in ${file} an ordinary key`, () => {
      const { value } = parse(text, file);
      assert.deepEqual(Object.keys(value as object), ['__proto__']);
      assert.equal(Object.getPrototypeOf(value), Object.prototype);
      assert.equal(({} as Record<string, unknown>).polluted, undefined);
    });
  }
});
