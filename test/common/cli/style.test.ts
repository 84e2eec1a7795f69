import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { coloured, formatTable, plain, styleFor } from '../../../common/cli/table.ts';

describe('colours', () => {
  for (const [sentence, options, style] of [
    ['are there on a terminal', { color: 'auto', env: {}, isTerminal: true }, coloured],
    ['are not there in a pipe', { color: 'auto', env: {}, isTerminal: false }, plain],
    ['are not there where NO_COLOR is set', { color: 'auto', env: { NO_COLOR: '1' }, isTerminal: true }, plain],
    ['are there where NO_COLOR is empty', { color: 'auto', env: { NO_COLOR: '' }, isTerminal: true }, coloured],
    ['are not there on a dumb terminal', { color: 'auto', env: { TERM: 'dumb' }, isTerminal: true }, plain],
    ['are there when they are asked for', { color: 'always', env: { NO_COLOR: '1' }, isTerminal: false }, coloured],
    ['are not there when they are not wanted', { color: 'never', env: {}, isTerminal: true }, plain],
  ] as const) {
    it(sentence, () => assert.equal(styleFor(options), style));
  }
});

describe('a table', () => {
  it('is empty without rows, and may have rows of different lengths', () => {
    assert.equal(formatTable([]), '');
    assert.equal(formatTable([['a', 'b'], ['cc']]), 'a   b\ncc\n');
  });

  it('is as wide with colours as without, and has no spaces at the ends of lines', () => {
    const rows = [[{ text: 'up', tone: 'good' }, 'x'], ['longer', ''], [{ text: '', tone: 'bad' }]] as const;
    assert.equal(formatTable(rows, coloured), '\u001b[32mup\u001b[39m      x\nlonger\n\n');
  });
});
