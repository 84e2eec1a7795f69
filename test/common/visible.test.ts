import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { execute } from '../../common/cli/daemon.ts';
import type { Program } from '../../common/cli/program.ts';
import { formatTable } from '../../common/cli/table.ts';
import { visible, visibleLine } from '../../common/visible.ts';
import { formatEvent } from '../../synapse/report/event-text.ts';
import { builtModule } from '../support/repository.ts';

/** What a terminal obeys or hides, by what it does. */
const hostile: readonly (readonly [what: string, character: string])[] = [
  ['begins a control sequence', '\u001b'],
  ['is the C1 control that begins one', '\u009b'],
  ['is the C1 control that ends a line', '\u0085'],
  ['rings', '\u0007'],
  ['goes back to the begin of the line', '\r'],
  ['goes back by one', '\b'],
  ['deletes', '\u007f'],
  ['reverses the text after it', '\u202e'],
  ['isolates text of the other direction', '\u2066'],
  ['separates lines', '\u2028'],
  ['separates paragraphs', '\u2029'],
  ['has no width', '\u200b'],
  ['joins without a width', '\u200d'],
  ['is a byte order mark', '\ufeff'],
  ['is a soft hyphen', '\u00ad'],
  ['is a letter without ink', '\u3164'],
  ['chooses a variation', '\ufe0f'],
  ['is a tag', '\u{e0041}'],
  ['is half of a character', '\ud800'],
];

/** All that the output of a command may have, except colours. */
const harmless = /^(?:[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|[\n\t])*$/u;

/** Text of pieces in a random order, the same in each run. */
function texts(count: number): readonly string[] {
  let state = 7;
  const next = (below: number): number => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
  const pieces = [
    ...hostile.map(([, character]) => character),
    'a',
    'ä',
    '✓',
    '漢',
    '😀',
    '\\',
    '"',
    ' ',
    '\n',
    '\t',
    '[31m',
    ']0;title',
  ];
  return Array.from({ length: count }, () =>
    Array.from({ length: 1 + next(12) }, () =>
      next(3) === 0 ? String.fromCharCode(next(0x1_0000)) : (pieces[next(pieces.length)] ?? ''),
    ).join(''),
  );
}

describe('text for a terminal', () => {
  for (const [what, character] of hostile) {
    it(`shows a character that ${what} as an escape`, () => {
      const shown = visible(`a${character}b`);
      assert.match(shown, /^a(\\u[0-9a-f]{4}){1,2}b$/);
      assert.equal(JSON.parse(`"${shown}"`), `a${character}b`);
    });
  }

  it('has nothing that a terminal obeys, whatever it is made of, and is the same when it is made twice', () => {
    for (const text of texts(20_000)) {
      const [shown, line] = [visible(text), visibleLine(text)];
      assert.match(shown, harmless);
      assert.match(line, /^[^\n\t]*$/);
      assert.equal(visible(shown), shown);
      assert.equal(visibleLine(line), line);
    }
  });

  it('is the same JSON document, whatever strings it has', () => {
    for (const text of texts(5_000)) {
      const document = JSON.stringify({ [text]: [text] }, null, 2);
      assert.match(visible(document), harmless);
      assert.deepEqual(JSON.parse(visible(document)), JSON.parse(document));
    }
  });

  it('leaves texts of the world as they are', () => {
    const text = 'naïve ✓ → ‘日本語’ עברית العربية 😀\tx\n';
    assert.equal(visible(text), text);
  });
});

describe('a command', () => {
  const evil = hostile.map(([, character]) => character).join('x');

  /** What a program prints and complains of, with colours or without. */
  async function run(command: Program['commands'][string]['run'], color: string, isTerminal = false) {
    const out = { printed: '', complained: '' };
    const program: Program = {
      name: 'nerve',
      version: '1',
      summary: '',
      configEnv: 'X',
      commands: { run: { summary: '', run: command } },
    };
    await execute(program, ['--color', color], {
      env: {},
      print: (text) => {
        out.printed += text;
      },
      complain: (text) => {
        out.complained += text;
      },
      isTerminal,
    });
    return out;
  }

  it('prints text, tables and JSON that a terminal does not obey, and so are its errors', async () => {
    const { printed, complained } = await run(async ({ print, style }) => {
      print(`${evil}\n${style('bad', evil)}\n${formatTable([[evil, { text: evil, tone: 'good' }]], style)}`);
      print(JSON.stringify({ evil }));
      throw new Error(evil);
    }, 'never');
    assert.match(printed, harmless);
    assert.match(complained, harmless);
    assert.ok(complained.includes('\\u202e'));
  });

  it('prints its own colours, and no colour of a text from outside', async () => {
    const outside = '\u001b[32mall is well\u001b[39m';
    const { printed } = await run(async ({ print, style }) => {
      print(`${style('bad', `failed ${outside}`)} ${outside}\n`);
    }, 'always');
    const shown = '\\u001b[32mall is well\\u001b[39m';
    assert.equal(printed, `\u001b[31mfailed ${shown}\u001b[39m ${shown}\n`);
  });

  it('keeps the rows of a table and the lines of events apart, although texts from outside have line ends', async () => {
    const { printed } = await run(async ({ print, style }) => {
      print(formatTable([['api', 'up\nweb  down']], style));
      const event = {
        seq: 1,
        time: '2026-01-01T00:00:00Z',
        level: 'warn',
        kind: 'source_switched',
        service: 'api\nb',
        source: 'x',
        reason: 'a\nb',
      };
      print(formatEvent(event as unknown as Parameters<typeof formatEvent>[0], style));
    }, 'always');
    assert.equal(printed.split('\n').length, 3, printed);
  });

  it('prints a file unchanged where it goes into one, and visible on a terminal', async () => {
    const text = `server a\u202e\tb\n`;
    const print = async ({ printExact }: { readonly printExact: (all: string) => void }): Promise<void> =>
      printExact(text);
    assert.equal((await run(print, 'never')).printed, text);
    assert.equal((await run(print, 'never', true)).printed, 'server a\\u202e\tb\n');
  });

  for (const [what, isTerminal] of [
    ['readable', true],
    ['as JSON', false],
  ] as const) {
    it(`logs lines that a terminal does not obey (${what})`, () => {
      const code = `
        Object.defineProperty(process.stderr, 'isTTY', { value: ${isTerminal} });
        const { createLog } = await import(${JSON.stringify(builtModule('common/daemon/stderr-log.js'))});
        const evil = JSON.parse(process.argv[1]);
        createLog('nerve', 'info').warn('a message ' + evil, { evil, list: [evil], [evil]: 1, line: 'a\\nb' });`;
      const { stderr, status } = spawnSync(
        process.execPath,
        ['--input-type=module', '-e', code, JSON.stringify(evil)],
        {
          encoding: 'utf8',
        },
      );
      assert.equal(status, 0, stderr);
      assert.match(stderr, harmless);
      assert.deepEqual(stderr.split('\n').slice(1), ['']);
      if (!isTerminal) assert.equal(JSON.parse(stderr).evil, evil);
    });
  }
});
