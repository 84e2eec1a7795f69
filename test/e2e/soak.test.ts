import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { History } from '../soak/history.ts';
import { runSoak } from '../soak/soak.ts';

describe('a site with real etcd and real HAProxy', () => {
  it('fails no request and brings nothing back that was withdrawn, under twenty seconds of faults', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'smartstack-soak-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const history = new History();
    const seed = Math.floor(Math.random() * 1_000_000);
    await runSoak({ seconds: 20, etcdVersion: '3.5', seed, folder }, history, new AbortController().signal);
    const { violations, lines } = history;
    assert.deepEqual(violations, [], `--seed ${seed}\n${lines.slice(-300).join('\n')}`);
    const counts = new Map(history.counts);
    assert.ok((counts.get('requests') ?? 0) > 100);
    assert.ok((counts.get('revisions of etcd') ?? 0) > 12);
  });
});
