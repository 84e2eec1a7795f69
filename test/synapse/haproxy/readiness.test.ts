import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readinessReason } from '../../../synapse/haproxy/status.ts';

type Status = Parameters<typeof readinessReason>[0];

const socket = { path: '/s', connected: true, version: '2.6', workerPid: 1, generation: 'new', lastError: null };
const fine: Status = { sockets: [socket], rejected: null, generation: 'new', wantedGeneration: 'new', lastError: null };

const cases: readonly [title: string, status: Partial<Status>, expected: RegExp | null][] = [
  ['nothing when HAProxy runs what is wanted', {}, null],
  ['nothing when there is no socket to ask and the file is right', { sockets: [] }, null],
  ['that HAProxy refuses the configuration', { rejected: 'no such keyword' }, /refuses.*no such keyword/],
  [
    'that HAProxy cannot be asked',
    { sockets: [{ ...socket, connected: false, lastError: 'ENOENT' }] },
    /\/s is not.*ENOENT/,
  ],
  ['that the file is not written yet', { generation: 'old' }, /not been written yet$/],
  [
    'why the file cannot be written',
    { generation: 'old', lastError: 'no space left' },
    /not been written yet: no space left$/,
  ],
  [
    'that new servers cannot be written, even if HAProxy runs what is wanted',
    { lastError: 'no space left' },
    /^writing haproxy.cfg or reloading HAProxy does not work: no space left$/,
  ],
  ['that HAProxy runs an older file', { sockets: [{ ...socket, generation: 'old' }] }, /\/s has not loaded/],
  ['that HAProxy runs a file of others', { sockets: [{ ...socket, generation: null }] }, /\/s has not loaded/],
];

describe('the reason why HAProxy is not ready says', () => {
  for (const [title, status, expected] of cases) {
    it(title, () => {
      const found = readinessReason({ ...fine, ...status });
      if (expected === null) assert.equal(found, null);
      else assert.match(found ?? '', expected);
    });
  }
});
