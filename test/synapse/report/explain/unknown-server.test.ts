import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeInstance } from '../../../../common/instance.ts';
import type { ServiceFacts } from '../../../../synapse/report/explain/facts.ts';
import { unknownServer } from '../../../../synapse/report/explain/unknown-server.ts';
import { serviceFacts } from '../../../support/daemons/service-facts.ts';

const facts = (names: readonly string[], more: Partial<ServiceFacts> = {}): ServiceFacts =>
  serviceFacts(
    names.map((name) => makeInstance({ name, host: '10.0.0.1', port: 80 })),
    more,
  );

describe('the message about an unknown server', () => {
  const known = 'no source announces it, and neither synapse nor HAProxy knows it';
  for (const [title, names, server, text] of [
    ['suggests the server whose name has the given name in it', ['i-1', 'i-2'], 'i-2', 'did you mean i-2_10.0.0.1:80?'],
    ['suggests a similar name', ['left', 'right'], 'rigth_10.0.0.1:80', 'did you mean right_10.0.0.1:80?'],
    [
      'lists all servers that the given name fits',
      ['i-1', 'i-2', 'j'],
      'i-',
      'its servers are i-1_10.0.0.1:80, i-2_10.0.0.1:80',
    ],
    [
      'lists the servers when none is similar',
      ['a', 'b'],
      'something-else',
      'its servers are a_10.0.0.1:80, b_10.0.0.1:80',
    ],
    ['says that a service has no servers', [], 'a', 'it has no servers'],
  ] as const) {
    it(title, () =>
      assert.equal(unknownServer(facts(names), server), `api has no server ${server}: ${known}; ${text}`),
    );
  }

  it('lists a few of many servers', () => {
    const names = Array.from({ length: 7 }, (_, index) => `i${index}`);
    assert.match(
      unknownServer(facts(names), 'something-else'),
      /; its servers are i0_\S+, .*, i4_10\.0\.0\.1:80 and 2 more$/,
    );
  });

  it('says which parts could not be asked', () => {
    const away = {
      daemon: { running: false, reason: 'synapse is not running' },
      registry: { records: null, reason: 'no route to host' },
      seen: { servers: null, reason: '/a.sock: connection refused' },
    };
    assert.equal(
      unknownServer(facts([], away), 'a'),
      'api has no server a, as far as is known: etcd: no route to host; synapse is not running; ' +
        'HAProxy: /a.sock: connection refused; it has no servers',
    );
  });
});
