import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Problem } from '../../../common/config/config.ts';
import { validate } from '../../../common/config/schema.ts';
import { check } from '../../../nerve/checks/http.ts';

describe('the options of the http check', () => {
  const wrong: readonly [options: object, problem: RegExp][] = [
    [{}, /uri/],
    [{ uri: 'health' }, /must be a path that starts with \/, not "health"/],
    [{ uri: '/a b' }, /must be a path/],
    [{ uri: '/a\r\nX: y' }, /must be a path/],
    [{ uri: '/', headers: { 'X Y': '1' } }, /"X Y" is not a header name/],
    [{ uri: '/', headers: { X: 'a\r\nY: b' } }, /X must be a one-line string/],
    [{ uri: '/', expect: 5 }, /must be a string/],
    [{ uri: '/', statuses: ['2xx'] }, /must be a list of statuses/],
    [{ uri: '/', matches: '(' }, /must be a regular expression/],
    [{ uri: '/', method: 'TRACE' }, /must be one of/],
    [{ uri: '/', read_timeout: 0 }, /longer than 0/],
  ];
  for (const [options, problem] of wrong) {
    it(`are refused: ${JSON.stringify(options)}`, () => {
      const problems: Problem[] = [];
      validate(check.schema, options, { path: 'checks[0]', problems });
      assert.match(problems.map(({ path, message }) => `${path}: ${message}`).join('\n'), problem);
    });
  }

  const deadlines: readonly [options: object, timeout: number, deadline: number][] = [
    [{}, 100, 100],
    [{ read_timeout: 5 }, 100, 5000],
    [{ open_timeout: 1, read_timeout: 2, ssl_timeout: 3 }, 100, 6000],
    [{ open_timeout: 1 }, 100, 1100],
    [{ read_timeout: 0.1 }, 2000, 2000],
  ];
  for (const [options, timeout, deadline] of deadlines) {
    it(`allow a probe ${deadline} ms with timeout ${timeout} and ${JSON.stringify(options)}`, () => {
      const valid = validate(check.schema, { uri: '/', ...options }, { path: '', problems: [] });
      assert.equal(check.deadline?.(valid, timeout), deadline);
    });
  }
});
