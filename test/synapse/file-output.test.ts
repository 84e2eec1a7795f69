import assert from 'node:assert/strict';
import { readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { thisHost } from '../../common/host.ts';
import { type Instance, makeInstance } from '../../common/instance.ts';
import { FileOutput, fileText, writeFiles as writeWanted } from '../../synapse/file-output.ts';
import { serviceConfig } from '../support/haproxy/haproxy-output.ts';
import { recordingLog } from '../support/process/recording-log.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { until } from '../support/until.ts';

const some = makeInstance({ host: 'somehost', port: 5555 });
const cases: readonly [title: string, instances: readonly Instance[], text: string][] = [
  ['writes host and port', [some], '[{"host":"somehost","port":5555}]'],
  ['writes an empty list for no instances', [], '[]'],
  [
    "writes all fields in SmartStack's order",
    [
      makeInstance({
        host: 'h',
        port: 1,
        name: 'n',
        weight: 2,
        serverOptions: 'inter 2s',
        labels: { az: 'a' },
        backup: true,
      }),
    ],
    '[{"name":"n","host":"h","port":1,"weight":2,"haproxy_server_options":"inter 2s","labels":{"az":"a"},"backup":true}]',
  ],
  ['leaves out an instance that drains', [makeInstance({ host: 'h', port: 1, state: 'drain' })], '[]'],
];

describe('file output', () => {
  for (const [title, instances, text] of cases) {
    it(title, () => assert.equal(fileText(instances), text));
  }

  const writeFiles = (
    folder: string,
    services: ReadonlyMap<string, readonly Instance[] | undefined>,
    changed: ReadonlySet<string>,
  ) => writeWanted({ folder, services }, changed, thisHost.files);
  const files = (...services: (readonly [string, readonly Instance[] | undefined])[]) => new Map(services);
  const names = (...list: string[]) => new Set(list);

  it('makes the folder and writes files that every user may read', async (t) => {
    const folder = join(await tempFolder(t), 'deep', 'folder');
    await writeFiles(folder, files(['example_service', [some]]), names('example_service'));
    assert.equal(await readFile(join(folder, 'example_service.json'), 'utf8'), '[{"host":"somehost","port":5555}]');
    assert.equal((await stat(join(folder, 'example_service.json'))).mode & 0o444, 0o444);
    assert.deepEqual(await readdir(folder), ['example_service.json'], 'and leaves no temporary file');
  });

  it('does not rewrite a file with the right text, nor the files of services that did not change', async (t) => {
    const folder = await tempFolder(t);
    await writeFiles(folder, files(['a', [some]], ['b', [some]]), names('a', 'b'));
    const old = new Date(1_000_000);
    for (const name of ['a.json', 'b.json']) await utimes(join(folder, name), old, old);
    await writeFiles(folder, files(['a', [some]], ['b', []]), names('a'));
    for (const name of ['a.json', 'b.json']) assert.deepEqual((await stat(join(folder, name))).mtime, old);
  });

  it('keeps the file of a service that is not known yet', async (t) => {
    const folder = await tempFolder(t);
    await writeFile(join(folder, 'a.json'), 'old');
    await writeFiles(folder, files(['a', undefined]), names('a'));
    assert.equal(await readFile(join(folder, 'a.json'), 'utf8'), 'old');
  });

  it('removes the files of removed and disabled services, and no other files', async (t) => {
    const folder = await tempFolder(t);
    for (const name of ['gone.json', 'README', 'a.json']) await writeFile(join(folder, name), '');
    await writeFiles(folder, files(['a', []]), names('a'));
    assert.deepEqual((await readdir(folder)).toSorted(), ['README', 'a.json']);
    await writeFiles(folder, files(), names());
    assert.deepEqual(await readdir(folder), ['README']);
  });

  it('names the folder that cannot be made', async (t) => {
    const file = join(await tempFolder(t), 'file');
    await writeFile(file, '');
    await assert.rejects(writeFiles(join(file, 'x'), files(), names()), /x is not present or creatable/);
  });

  it('tries again until the files can be written, and logs the failure once', async (t) => {
    const folder = join(await tempFolder(t), 'folder');
    await writeFile(folder, 'in the way');
    const { log, lines } = recordingLog();
    const end = new AbortController();
    t.after(() => end.abort());
    const target = (at: string) => ({ folder: at, services: ['a'] });
    const snapshot = new Map([['a', { name: 'a', config: serviceConfig({}), instances: [some], seenAt: 0 }]]);
    const output = new FileOutput(target(folder), { log, files: thisHost.files });
    void output.run(end.signal);
    await output.apply(snapshot, names('a'));
    await until(() => output.reason !== null);
    await output.apply(snapshot, names('a'));
    const other = `${folder}-2`;
    output.configure(target(other), snapshot);
    await until(() => output.reason === null);
    assert.deepEqual(await readdir(other), ['a.json']);
    assert.deepEqual(
      lines.map(({ level }) => level),
      ['error', 'info'],
    );
  });
});
