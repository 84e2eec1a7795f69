import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  type AccessState,
  formatStep,
  otherAccess,
  type Permission,
  planAccess,
  rangeOf,
} from '../../../etcd-cluster/users/access-plan.ts';

const may = (right: Permission['may'], key: string): Permission => ({ ...rangeOf(key), may: right });
const state = (
  users: Record<string, readonly string[]>,
  roles: Record<string, readonly Permission[]>,
): AccessState => ({
  users: new Map(Object.entries(users)),
  roles: new Map(Object.entries(roles)),
});
const root = [{ root: ['root'] }, { root: [] }] as const;
const nerve = { name: 'nerve', permissions: [may('both', '/nerve/services/')] };

describe('a plan of access', () => {
  const cases: readonly (readonly [name: string, state: AccessState, steps: readonly string[]])[] = [
    [
      'makes all users and roles in an empty etcd',
      state({}, {}),
      [
        ...['add role root', 'add user root', 'give role root to user root'],
        ...['add role nerve', 'grant role nerve: read and write /nerve/services/'],
        ...['add user nerve', 'give role nerve to user nerve'],
      ],
    ],
    [
      'is empty when nothing differs, and does not touch other users',
      state(
        { ...root[0], nerve: ['nerve'], backup: ['backup'] },
        { ...root[1], nerve: [...nerve.permissions], backup: [may('read', '/')] },
      ),
      [],
    ],
    [
      'completes a plan that was interrupted',
      state({ ...root[0] }, { ...root[1], nerve: [] }),
      ['grant role nerve: read and write /nerve/services/', 'add user nerve', 'give role nerve to user nerve'],
    ],
    [
      'grants missing permissions before it revokes superfluous ones',
      state({ ...root[0], nerve: ['nerve'] }, { ...root[1], nerve: [may('both', '/'), may('read', '/config')] }),
      [
        'grant role nerve: read and write /nerve/services/',
        'revoke role nerve: read and write /',
        'revoke role nerve: read /config',
      ],
    ],
    [
      'replaces a permission by another one for the same keys with one grant',
      state({ ...root[0], nerve: ['nerve'] }, { ...root[1], nerve: [may('read', '/nerve/services/')] }),
      ['grant role nerve: read and write /nerve/services/'],
    ],
    [
      'revokes ranges that other programs made, exactly as they are',
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
      'takes additional roles from a user, but no permissions from root',
      state(
        { root: ['root', 'other'], nerve: ['root', 'nerve'] },
        { root: [may('both', '/')], nerve: [...nerve.permissions], other: [] },
      ),
      ['take role other from user root', 'take role root from user nerve'],
    ],
  ];
  for (const [name, has, steps] of cases) {
    it(name, () => assert.deepEqual(planAccess(has, [nerve]).map(formatStep), steps));
  }

  it('removes other users and roles last, and never root', () => {
    const has = state({ root: ['root'], b: ['a'], a: [] }, { root: [], a: [], unused: [] });
    const others = otherAccess(has, [nerve]);
    assert.deepEqual(others, { users: ['a', 'b'], roles: ['a', 'unused'] });
    assert.deepEqual(planAccess(has, [nerve], others).map(formatStep).slice(-4), [
      ...['remove user a', 'remove user b', 'remove role a', 'remove role unused'],
    ]);
  });
});
