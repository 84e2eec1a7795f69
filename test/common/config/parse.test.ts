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

  const bad: readonly [sentence: string, file: string, text: string, problem: RegExp][] = [
    ['where JSON breaks', 'a.json', '{\n  "a": 1\n  "b": 2\n}', /^a\.json:3:3: not valid JSON: comma expected$/],
    ['JSON that ends too soon', 'a.json', '{"a": ', /^a\.json:1:\d+: not valid JSON/],
    ['a key given twice in JSON', 'a.json', '{"s":\n{"x":1,\n "x":2}}', /^a\.json:3:2: s\.x: is given twice$/],
    ['where YAML breaks', 'a.yaml', 'a: 1\nb: [1\nc: 2\n', /^a\.yaml:3:1: not valid YAML/],
    ['a key given twice in YAML', 'a.yaml', 'a: 1\na: 2\n', /^a\.yaml:2:1: not valid YAML: Map keys must be unique/],
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
      if (!/twice/.test(sentence) || file.endsWith('yaml')) assert.equal(value, undefined);
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
  ] as const) {
    it(`does not quote a possible password in ${text}`, () => {
      const { problems } = parse(text, file);
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
