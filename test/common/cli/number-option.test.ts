import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { numberOption } from '../../../common/cli/number-option.ts';
import { type NumberRange, UsageError } from '../../../common/cli/program.ts';

describe('numberOption', () => {
  const fine: readonly [text: string, range: NumberRange, value: number][] = [
    ['0', { least: 0 }, 0],
    ['12', { least: 0 }, 12],
    ['999999999999999', { least: 0 }, 999_999_999_999_999],
    ['65535', { least: 1, most: 65_535 }, 65_535],
    ['0.5', { least: 0, most: 3_600, fractions: true }, 0.5],
  ];
  for (const [text, range, value] of fine) {
    it(`reads ${text}`, () => assert.equal(numberOption('count', text, range), value));
  }

  const wrong: readonly [text: string, range: NumberRange, message: RegExp][] = [
    ['x', { least: 0 }, /^--count x: must be a whole number, 0 or more$/],
    ['-1', { least: 0 }, /0 or more$/],
    ['', { least: 0 }, /0 or more$/],
    [' ', { least: 0 }, /0 or more$/],
    ['1.5', { least: 0 }, /whole number/],
    ['0x10', { least: 0 }, /whole number/],
    ['1e3', { least: 0 }, /whole number/],
    ['Infinity', { least: 0 }, /whole number/],
    ['99999999999999999999', { least: 0 }, /whole number/],
    ['0', { least: 1, most: 65_535 }, /must be a whole number, from 1 to 65535$/],
    ['65536', { least: 1, most: 65_535 }, /from 1 to 65535$/],
    ['3601', { least: 0, most: 3_600, fractions: true }, /^--count 3601: must be a number, from 0 to 3600$/],
  ];
  for (const [text, range, message] of wrong) {
    it(`refuses '${text}'`, () =>
      assert.throws(
        () => numberOption('count', text, range),
        (error) => error instanceof UsageError && message.test(error.message),
      ));
  }
});
