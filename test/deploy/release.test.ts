import assert from 'node:assert/strict';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { root } from '../support/repository.ts';
import { tempFolder } from '../support/temp-folder.ts';

/** A small repository with the script, whose one commit has the tag v1.2.3. */
async function repository(t: TestContext, changelog = '# Changelog\n\n## 1.2.3\n\nNew.\n'): Promise<string> {
  const folder = await tempFolder(t);
  await mkdir(join(folder, 'deploy'));
  await cp(join(root, 'deploy/release'), join(folder, 'deploy/release'));
  await writeFile(join(folder, 'package.json'), '{"version":"1.2.3"}');
  await writeFile(join(folder, 'CHANGELOG.md'), changelog);
  for (const words of ['init -q', 'add .', 'commit -q -m one', 'tag v1.2.3']) await git(folder, words);
  return folder;
}

async function git(folder: string, words: string): Promise<void> {
  const argv = ['git', '-c', 'user.name=a', '-c', 'user.email=a@example.com', ...words.split(' ')] as const;
  const { code, stderr } = await exec(argv as unknown as [string, ...string[]], { timeoutMs: 60_000, cwd: folder });
  assert.equal(code, 0, stderr);
}

async function refusal(folder: string, tag: string): Promise<string> {
  const argv = ['sh', 'deploy/release', tag, `${folder}-release`] as const;
  const { code, stderr } = await exec(argv, { timeoutMs: 60_000, cwd: folder, env: process.env });
  assert.equal(code, 1);
  return stderr;
}

describe('a release', () => {
  it('is refused with changes that are not committed', async (t) => {
    const folder = await repository(t);
    await writeFile(join(folder, 'new.txt'), '');
    assert.match(await refusal(folder, 'v1.2.3'), /changes that are not committed/);
  });

  it('is refused when the tag is not the version', async (t) => {
    assert.match(await refusal(await repository(t), 'v1.2.4'), /the tag must be v1\.2\.3/);
  });

  it('is refused when the checkout is not at the tag, or there is none', async (t) => {
    const folder = await repository(t);
    await git(folder, 'commit -q --allow-empty -m two');
    assert.match(await refusal(folder, 'v1.2.3'), /the checkout is not at v1\.2\.3/);
    await git(folder, 'tag -d v1.2.3');
    assert.match(await refusal(folder, 'v1.2.3'), /there is no tag v1\.2\.3/);
  });

  it('is refused while the release before it is not the one that the tests upgrade from', async (t) => {
    const folder = await repository(t);
    await writeFile(join(folder, 'deploy/previous-release'), 'v1.2.2\n');
    await writeFile(join(folder, 'package.json'), '{"version":"1.2.4"}');
    await writeFile(join(folder, 'CHANGELOG.md'), '## 1.2.4\n\nNewer.\n');
    for (const words of ['add .', 'commit -q -m two', 'tag v1.2.4']) await git(folder, words);
    assert.match(await refusal(folder, 'v1.2.4'), /previous-release must say v1\.2\.3/);
  });

  it('is refused without a section of the changelog, or while that says unreleased', async (t) => {
    assert.match(await refusal(await repository(t, '# Changelog\n'), 'v1.2.3'), /has no section for 1\.2\.3/);
    const unreleased = await repository(t, '## 1.2.3 (unreleased)\n\nNew.\n');
    assert.match(await refusal(unreleased, 'v1.2.3'), /says that 1\.2\.3 is unreleased/);
  });

  it('has everything that the images are built from', async () => {
    const [script = '', dockerfile = ''] = await Promise.all(
      ['deploy/release', 'deploy/Dockerfile'].map((path) => readFile(join(root, path), 'utf8')),
    );
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(?:--\S+ )*(.+) \S+$/gm)].flatMap(([, paths = '']) =>
      paths.split(' '),
    );
    assert.ok(copied.length > 5);
    const archived = /git archive [\s\S]*?"\$tag" \\\n(.*)$/m.exec(script)?.[1]?.trim().split(' ') ?? [];
    const missing = copied.filter((path) => !archived.some((known) => path === known || path.startsWith(`${known}/`)));
    assert.deepEqual(missing, []);
  });
});
