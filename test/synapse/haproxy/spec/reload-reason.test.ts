import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  configurationReason,
  distinctReasons,
  kindOfReload,
  membershipReason,
  serverReason,
  socketReason,
  textsOf,
} from '../../../../synapse/haproxy/spec/reload-reason.ts';

describe('the reasons for a reload', () => {
  const all = [serverReason('d'), membershipReason('c'), socketReason('b'), configurationReason('a')];
  const cases = [
    { what: 'a new configuration before anything else', reasons: all, kind: 'configuration' },
    { what: 'the socket before members and servers', reasons: all.slice(0, 3), kind: 'socket' },
    { what: 'members before servers', reasons: all.slice(0, 2), kind: 'membership' },
    { what: 'a server when there is nothing else', reasons: all.slice(0, 1), kind: 'server' },
    { what: 'a server when no reason is left', reasons: [], kind: 'server' },
  ];
  for (const { what, reasons, kind } of cases) {
    it(`count a reload as one for ${what}`, () => assert.equal(kindOfReload(reasons), kind));
  }

  it('are listed once each, in order', () => {
    assert.deepEqual(textsOf(distinctReasons([serverReason('b'), serverReason('a'), serverReason('b')])), ['b', 'a']);
  });
});
