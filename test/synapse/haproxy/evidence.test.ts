import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { thisHost } from '../../../common/host.ts';
import { Evidence, type Rotation } from '../../../synapse/haproxy/evidence.ts';
import { parseConfig } from '../../../synapse/haproxy/spec/parse-config.ts';
import { plainConfig } from '../../support/haproxy/haproxy-text.ts';

/** How a server takes part in a HAProxy that loads this line now. */
async function rotationOf(words: string): Promise<Rotation | null | undefined> {
  const text = `backend api\n\tserver one 10.0.0.1:1 ${words}\n`;
  const evidence = new Evidence({
    config: plainConfig(),
    host: thisHost,
    services: new Map(),
    processes: [],
    file: { text, isAsKnown: async () => true },
    present: () => parseConfig(text),
    loop: { reloadsBegun: 0, isReloading: false, isDirty: false, async written() {} },
    reloader: { reasons: [] },
  });
  const { servers, reason } = await evidence.read([{ backend: 'api', name: 'one' }], new AbortController().signal);
  assert.equal(reason, null);
  return servers[0]?.inFile;
}

describe('how a server takes part by the file', () => {
  const cases: Readonly<Record<string, Rotation>> = {
    check: 'open',
    'weight 0': 'drained',
    'weight 0 disabled': 'closed',
    'disabled check': 'closed',
    'cookie disabled': 'open',
    'weight 0 cookie disabled': 'drained',
  };
  for (const [words, rotation] of Object.entries(cases)) {
    it(`is ${rotation} with the words ${words}`, async () => {
      assert.equal(await rotationOf(words), rotation);
    });
  }
});
