import assert from 'node:assert/strict';
import { appendFile, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { writeFileAtomic } from '../../../../common/file.ts';
import { makeSource, runSource, type SourceRun } from '../../../support/daemons/source-run.ts';
import { until } from '../../../support/until.ts';

describe('the source file', () => {
  let folder: string;
  let runs: SourceRun[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'synapse-file-'));
    runs = [];
  });
  afterEach(async () => {
    await Promise.all(runs.map((run) => run.stop()));
    await rm(folder, { recursive: true });
  });

  /** With an interval that no test lives to see, unless it says otherwise: what is seen is seen by watching. */
  const start = async (path: string, check_interval: unknown = '10m'): Promise<SourceRun> => {
    const run = await runSource('file', { path, check_interval });
    runs.push(run);
    return run;
  };
  const reasonOf = (run: SourceRun): string => run.source.status?.().reason ?? '';

  const forms: readonly (readonly [name: string, file: string, text: string, ids: readonly string[]])[] = [
    [
      'records in JSON, with comments',
      'api.json',
      '// ours\n[{"host": "10.0.0.1", "port": "80", "name": "one", "weight": 3}, {"host": "10.0.0.2", "port": 80, "backup": true},]',
      ['one_10.0.0.1:80', '10.0.0.2:80 backup'],
    ],
    ['records in YAML', 'api.yaml', '- host: 10.0.0.1\n  port: 80\n', ['10.0.0.1:80']],
    ['host:port', 'api.yml', '- 10.0.0.1:80\n- "[2001:db8::1]:81"\n', ['10.0.0.1:80', '2001:db8::1:81']],
    [
      "Prometheus' file_sd",
      'api.json',
      '[{"targets": ["10.0.0.1:80", "db.test:81"], "labels": {"az": "a"}}, {"targets": ["10.0.0.3:80"]}]',
      ['10.0.0.1:80', 'db.test:81', '10.0.0.3:80'],
    ],
    ['an empty list', 'api.json', '[]', []],
    ['a name that says nothing of the form', 'api', '[{"host": "10.0.0.1", "port": 80}]', ['10.0.0.1:80']],
  ];
  for (const [name, file, text, ids] of forms) {
    it(`reads ${name}`, async () => {
      await writeFile(join(folder, file), text);
      const run = await start(join(folder, file));
      await until(() => run.sets.length > 0);
      assert.deepEqual(run.ids(), ids);
      assert.deepEqual(run.sets[0]?.rejected, []);
    });
  }

  it('rejects invalid entries and uses the others', async () => {
    const path = join(folder, 'api.json');
    await writeFile(path, '[{"host": "h"}, "x", {"targets": ["a:b"]}, {"targets": 1}, "a:1", "a:1"]');
    const run = await start(path);
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), ['a:1']);
    assert.deepEqual(
      run.sets[0]?.rejected.map(({ where }) => where.slice(path.length)),
      [': [0]', ': [1]', ': [2].targets[0]', ': [3]', ': [5]'],
    );
    assert.equal(run.lines.filter(({ level }) => level === 'warn').length, 5);
  });

  it('reads a file again after each rename; equal instances stay the same objects', async () => {
    const path = join(folder, 'api.json');
    await writeFile(path, '["a:1"]');
    const run = await start(path);
    await until(() => run.sets.length > 0);
    for (let port = 2; port < 6; port++) {
      await writeFileAtomic(path, `["a:1", "a:${port}"]`);
      await until(() => run.ids().at(-1) === `a:${port}`);
    }
    assert.equal(run.sets.at(-1)?.instances[0], run.sets[0]?.instances[0]);
    assert.equal(reasonOf(run), '');
  });

  it('reads a file that is written in place, but never half of it', async () => {
    const path = join(folder, 'api.yaml');
    await writeFile(path, '- a:1\n- a:2\n- a:3\n');
    const run = await start(path, '20ms');
    await until(() => run.sets.length > 0);
    await writeFile(path, '');
    for (const port of [1, 2, 4]) {
      await appendFile(path, `- a:${port}\n`);
      await delay(30);
    }
    await until(() => run.sets.length > 1);
    assert.deepEqual(run.ids(), ['a:1', 'a:2', 'a:4']);
    assert.equal(run.sets.length, 2);
  });

  it('finds a change without an event when it reads the file again', async () => {
    const outside = join(folder, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'real.json'), '["a:1"]');
    await mkdir(join(folder, 'in'));
    const path = join(folder, 'in', 'api.json');
    await symlink(join(outside, 'real.json'), path);
    const run = await start(path, '100ms');
    await until(() => run.sets.length > 0);
    await writeFileAtomic(join(outside, 'real.json'), '["a:2"]');
    await until(() => run.ids()[0] === 'a:2');
  });

  const broken: readonly (readonly [name: string, text: string, reason: RegExp])[] = [
    ['half a JSON list', '["a:1", "a:', /not valid JSON/],
    ['an empty file', '', /must hold a list/],
    ['an object', '{"a": 1}', /must hold a list/],
  ];
  for (const [name, text, reason] of broken) {
    it(`${name} keeps the last set, is the reason in the status, and ends when a good answer comes`, async () => {
      const path = join(folder, 'api.json');
      await writeFile(path, '["a:1"]');
      const run = await start(path);
      await until(() => run.sets.length > 0);
      await writeFileAtomic(path, text);
      await until(() => reason.test(reasonOf(run)));
      assert.equal(run.sets.length, 1);
      assert.equal(run.lines.filter(({ level }) => level === 'warn').length, 1);
      await writeFileAtomic(path, '["a:2"]');
      await until(() => run.ids()[0] === 'a:2');
      assert.equal(reasonOf(run), '');
    });
  }

  it('keeps the last set when the file is removed, and reads the file when it is back', async () => {
    const path = join(folder, 'api.json');
    await writeFile(path, '["a:1"]');
    const run = await start(path);
    await until(() => run.sets.length > 0);
    await rm(path);
    await until(() => /cannot read .*api\.json/.test(reasonOf(run)));
    assert.equal(run.sets.length, 1);
    await writeFile(path, '["a:2"]');
    await until(() => run.ids()[0] === 'a:2');
  });

  it('waits for a file that does not exist yet', async () => {
    const run = await start(join(folder, 'later', 'api.json'), '100ms');
    await until(() => /cannot read/.test(reasonOf(run)));
    await mkdir(join(folder, 'later'));
    await writeFile(join(folder, 'later', 'api.json'), '["a:1"]');
    await until(() => run.sets.length > 0);
    assert.deepEqual(run.ids(), ['a:1']);
  });

  describe('of a folder', () => {
    it('publishes the instances of all lists, without those of a list that was removed', async () => {
      await writeFile(join(folder, 'b.json'), '["b:1"]');
      await writeFile(join(folder, 'a.yaml'), '["a:1"]');
      await writeFile(join(folder, '.hidden.json'), '["x:1"]');
      await writeFile(join(folder, 'README'), 'x:1');
      const run = await start(folder);
      await until(() => run.sets.length > 0);
      assert.deepEqual(run.ids(), ['a:1', 'b:1']);
      await writeFile(join(folder, 'c.json'), '["c:1"]');
      await until(() => run.ids().length === 3);
      await rm(join(folder, 'a.yaml'));
      await until(() => run.ids().length === 2);
      assert.deepEqual(run.gone, [['a:1', 'withdrawn']]);
    });

    it('follows the other lists while one is not valid', async () => {
      await writeFile(join(folder, 'a.json'), '["a:1"]');
      await writeFile(join(folder, 'b.json'), '["b:1"]');
      const run = await start(folder);
      await until(() => run.sets.length > 0);
      await writeFileAtomic(join(folder, 'a.json'), '[');
      await until(() => /a\.json/.test(reasonOf(run)));
      await writeFileAtomic(join(folder, 'b.json'), '["b:2"]');
      await until(() => run.ids()[1] === 'b:2');
      assert.deepEqual(run.ids(), ['a:1', 'b:2']);
    });

    it('publishes nothing while one list has never been valid', async () => {
      await writeFile(join(folder, 'a.json'), '[');
      await writeFile(join(folder, 'b.json'), '["b:1"]');
      const run = await start(folder);
      await until(() => /a\.json/.test(reasonOf(run)));
      assert.deepEqual(run.sets, []);
      await writeFileAtomic(join(folder, 'a.json'), '[]');
      await until(() => run.sets.length > 0);
      assert.deepEqual(run.ids(), ['b:1']);
    });

    it('keeps the last set when the folder is moved away', async () => {
      const path = join(folder, 'lists');
      await mkdir(path);
      await writeFile(join(path, 'a.json'), '["a:1"]');
      const run = await start(path, '100ms');
      await until(() => run.sets.length > 0);
      await rename(path, join(folder, 'away'));
      await until(() => /cannot read/.test(reasonOf(run)));
      assert.equal(run.sets.length, 1);
      await mkdir(path);
      await writeFile(join(path, 'a.json'), '["a:2"]');
      await until(() => run.ids()[0] === 'a:2');
    });
  });

  it('refuses options without a path', async () => {
    await assert.rejects(makeSource('file', {}), /discovery\.path: is required/);
  });
});
