import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type AccessState,
  type Permission,
  planAccess,
  rangeOf,
  sayStep,
} from '../../../etcd-cluster/users/access-plan.ts';

const may = (what: Permission['may'], where: string): Permission => ({ ...rangeOf(where), may: what });
const state = (
  users: Record<string, readonly string[]>,
  roles: Record<string, readonly Permission[]>,
): AccessState => ({
  users: new Map(Object.entries(users)),
  roles: new Map(Object.entries(roles)),
});
const root = [{ root: ['root'] }, { root: [] }] as const;
const nerve = { name: 'nerve', permissions: [may('both', '/nerve/services/')] };

describe('the plan of access', () => {
  const cases: readonly (readonly [name: string, state: AccessState, steps: readonly string[]])[] = [
    [
      'begins with nothing',
      state({}, {}),
      [
        ...['add role root', 'add user root', 'give role root to user root'],
        ...['add role nerve', 'grant role nerve: read and write /nerve/services/'],
        ...['add user nerve', 'give role nerve to user nerve'],
      ],
    ],
    [
      'is empty when all is as it should be, and leaves others alone',
      state(
        { ...root[0], nerve: ['nerve'], backup: ['backup'] },
        { ...root[1], nerve: [...nerve.permissions], backup: [may('read', '/')] },
      ),
      [],
    ],
    [
      'goes on where it was interrupted',
      state({ ...root[0] }, { ...root[1], nerve: [] }),
      ['grant role nerve: read and write /nerve/services/', 'add user nerve', 'give role nerve to user nerve'],
    ],
    [
      'grants what is missing before it revokes what is too much',
      state({ ...root[0], nerve: ['nerve'] }, { ...root[1], nerve: [may('both', '/'), may('read', '/config')] }),
      [
        'grant role nerve: read and write /nerve/services/',
        'revoke role nerve: read and write /',
        'revoke role nerve: read /config',
      ],
    ],
    [
      'replaces a right by another one for the same keys',
      state({ ...root[0], nerve: ['nerve'] }, { ...root[1], nerve: [may('read', '/nerve/services/')] }),
      ['grant role nerve: read and write /nerve/services/'],
    ],
    [
      'revokes ranges that others made, as they are',
      state(
        { ...root[0], nerve: ['nerve'] },
        {
          ...root[1],
          nerve: [...nerve.permissions, { key: Buffer.from('/a'), end: Buffer.from('/q'), may: 'write' }],
        },
      ),
      ['revoke role nerve: write /a to /q'],
    ],
    [
      'takes roles that are not its own from a user, but not the rights of root',
      state(
        { root: ['root', 'other'], nerve: ['root', 'nerve'] },
        { root: [may('both', '/')], nerve: [...nerve.permissions], other: [] },
      ),
      ['take role other from user root', 'take role root from user nerve'],
    ],
  ];
  for (const [name, has, steps] of cases) {
    it(name, () => assert.deepEqual(planAccess(has, [nerve]).map(sayStep), steps));
  }
});
