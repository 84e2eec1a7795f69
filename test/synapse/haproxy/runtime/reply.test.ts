import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { judge } from '../../../../synapse/haproxy/runtime/reply.ts';

describe('a reply of the runtime API', () => {
  const cases: readonly [Parameters<typeof judge>[0], string, string][] = [
    ['add', 'New server registered.\n', 'done'],
    ['add', 'Server api/x is going DOWN.\nNew server registered.\n', 'done'],
    ['add', "'id' : custom id 4 already used at h.cfg:23 ('server w6').\n", 'unexpected'],
    ['add', 'Already exists a server with the same name in backend.\n', 'unexpected'],
    ['add', 'Backend must use a dynamic load balancing to support dynamic servers.', 'refused'],
    ['add', "unknown keyword 'foo'; did you mean 'tfo' maybe ?\n", 'refused'],
    ['add', '', 'refused'],
    ['state', '', 'done'],
    ['state', 'No such server.\n', 'unexpected'],
    ['state', 'Permission denied\n', 'refused'],
    ['weight', "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n", 'refused'],
    ['weight', 'Unknown command: set', 'refused'],
    ['health', 'Health check was not configured on this server, cannot enable.\n', 'refused'],
  ];
  for (const [kind, reply, result] of cases) {
    it(`to the command kind ${kind} counts as ${result}: ${JSON.stringify(reply.slice(0, 50))}`, () =>
      assert.equal(judge(kind, reply).result, result));
  }
});
