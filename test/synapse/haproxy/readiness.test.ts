import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readinessReason } from '../../../synapse/haproxy/status.ts';

type Status = Parameters<typeof readinessReason>[0];

const socket = { path: '/s', connected: true, version: '2.6', workerPid: 1, generation: 'new', lastError: null };
const fine: Status = { sockets: [socket], rejected: null, generation: 'new', wantedGeneration: 'new', lastError: null };

const cases: readonly [title: string, status: Partial<Status>, trouble: RegExp | null][] = [
  ['nothing when it runs what is wanted', {}, null],
  ['nothing when there is no socket to ask and the file is right', { sockets: [] }, null],
  ['that it refuses the configuration', { rejected: 'no such keyword' }, /refuses.*no such keyword/],
  [
    'that it cannot be asked',
    { sockets: [{ ...socket, connected: false, lastError: 'ENOENT' }] },
    /\/s is not.*ENOENT/,
  ],
  ['that the file is not written yet', { generation: 'old' }, /not been written yet$/],
  [
    'why it cannot be written',
    { generation: 'old', lastError: 'no space left' },
    /not been written yet: no space left$/,
  ],
  ['that it runs an older file', { sockets: [{ ...socket, generation: 'old' }] }, /\/s has not loaded/],
  ["that it runs somebody else's file", { sockets: [{ ...socket, generation: null }] }, /\/s has not loaded/],
];

describe('readinessReason says', () => {
  for (const [title, status, trouble] of cases) {
    it(title, () => {
      const found = readinessReason({ ...fine, ...status });
      if (trouble === null) assert.equal(found, null);
      else assert.match(found ?? '', trouble);
    });
  }
});
