import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Problem } from '../../../common/config/config.ts';
import { readFleet, readFleetMember } from '../../../common/fleet/options.ts';

describe('the section fleet', () => {
  const path = '/smartstack/fleet';
  const fine: readonly (readonly [title: string, value: unknown, nerve: unknown, synapse: unknown])[] = [
    ['is on by default', undefined, { path }, { path, id: 'this-host' }],
    ['is on when it is empty', null, { path }, { path, id: 'this-host' }],
    ['is off with false', false, false, false],
    ['is off with false from an environment variable', 'false', false, false],
    [
      'takes another path',
      { path: '/teams/a/fleet/' },
      { path: '/teams/a/fleet' },
      { path: '/teams/a/fleet', id: 'this-host' },
    ],
  ];
  for (const [title, value, nerve, synapse] of fine) {
    it(title, () => {
      const problems: Problem[] = [];
      assert.deepEqual(readFleet(value, problems), nerve);
      assert.deepEqual(readFleetMember(value, problems, 'this-host'), synapse);
      assert.deepEqual(problems, []);
    });
  }

  it('takes an id in synapse only', () => {
    const problems: Problem[] = [];
    assert.deepEqual(readFleetMember({ id: 'höst/1' }, problems), { path, id: 'höst/1' });
    assert.deepEqual(problems, []);
    const refused: Problem[] = [];
    readFleet({ id: 'a' }, refused);
    assert.match(String(refused[0]?.message), /unknown key/);
  });

  it('is off without an id when the host name can be none', () => {
    const problems: Problem[] = [];
    assert.equal(readFleetMember(undefined, problems, 'a\u0001b'), false);
    assert.deepEqual(problems, []);
  });

  for (const value of [
    'on',
    7,
    [],
    { path: 'relative' },
    { path: '/' },
    { path: '/a//b' },
    { id: '' },
    { id: 'a\nb' },
  ]) {
    it(`refuses ${JSON.stringify(value)}`, () => {
      const problems: Problem[] = [];
      readFleetMember(value, problems, 'this-host');
      assert.equal(problems.length, 1);
      assert.match(String(problems[0]?.path), /^fleet/);
    });
  }
});
