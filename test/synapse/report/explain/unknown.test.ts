import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeInstance } from '../../../../common/instance.ts';
import type { ServiceFacts } from '../../../../synapse/report/explain/facts.ts';
import { unknownServer } from '../../../../synapse/report/explain/unknown.ts';
import { serviceFacts } from '../../../support/daemons/service-facts.ts';

const facts = (names: readonly string[], more: Partial<ServiceFacts> = {}): ServiceFacts =>
  serviceFacts(
    names.map((name) => makeInstance({ name, host: '10.0.0.1', port: 80 })),
    more,
  );

describe('a server that nobody knows', () => {
  const nobody = 'no source announces it, and neither synapse nor HAProxy knows it';
  for (const [sentence, names, server, text] of [
    ['of which only the name was given', ['i-1', 'i-2'], 'i-2', 'did you mean i-2_10.0.0.1:80?'],
    ['that is misspelt', ['left', 'right'], 'rigth_10.0.0.1:80', 'did you mean right_10.0.0.1:80?'],
    ['that might be several', ['i-1', 'i-2', 'j'], 'i-', 'there are i-1_10.0.0.1:80, i-2_10.0.0.1:80'],
    ['like none there is', ['a', 'b'], 'something-else', 'there are a_10.0.0.1:80, b_10.0.0.1:80'],
    ['of an empty service', [], 'a', 'there is none'],
  ] as const) {
    it(sentence, () => assert.equal(unknownServer(facts(names), server), `api has no ${server}: ${nobody}; ${text}`));
  }

  it('names a few of many', () => {
    const names = Array.from({ length: 7 }, (_, index) => `i${index}`);
    assert.match(
      unknownServer(facts(names), 'something-else'),
      /; there are i0_\S+, .*, i4_10\.0\.0\.1:80 and 2 more$/,
    );
  });

  it('does not say that those do not know it who could not be asked', () => {
    const away = {
      daemon: { running: false, reason: 'synapse is not running' },
      registry: { records: null, reason: 'no route to host' },
      seen: { servers: null, reason: '/a.sock: connection refused' },
    };
    assert.equal(
      unknownServer(facts([], away), 'a'),
      'api has no a, as far as could be asked: etcd: no route to host; synapse is not running; ' +
        'HAProxy: /a.sock: connection refused; there is none',
    );
  });
});
