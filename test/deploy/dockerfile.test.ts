import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { exec } from '../../common/daemon/exec.ts';
import { root } from '../support/repository.ts';
import { tempFolder } from '../support/temp-folder.ts';

/** That there is no native code in `/app`, systemd.test.ts shows of the archive, which is made in the same way. */
describe('the Dockerfile', () => {
  let lines: readonly string[];

  before(async () => {
    const text = await readFile(join(root, 'deploy/Dockerfile'), 'utf8');
    lines = text
      .replace(/^\s*#.*\n/gm, '')
      .replace(/\\\n/g, ' ')
      .split('\n');
  });

  it('names no architecture', () => {
    assert.doesNotMatch(lines.join('\n'), /amd64|arm64|x64|x86|aarch64/i);
  });

  it("copies only architecture-independent files from stages on the builder's platform", () => {
    const foreign = lines.flatMap((line) => /^FROM --platform=\$BUILDPLATFORM \S+ AS (\w+)$/.exec(line)?.[1] ?? []);
    assert.deepEqual(foreign, ['build']);
    const copies = lines.flatMap((line) => {
      const [, stage = '', from = ''] = /^COPY --from=(\w+) (\S+)/.exec(line) ?? [];
      return foreign.includes(stage) ? [from] : [];
    });
    assert.ok(copies.length > 0);
    for (const from of copies) assert.match(from, /^\/app\//);
  });

  for (const daemon of ['nerve', 'synapse']) {
    it(`reports ${daemon} as healthy while it runs, ready or not`, async (t) => {
      const [, command = ''] = /^HEALTHCHECK .* CMD (.*)$/.exec(lines.find(isHealthOf(daemon)) ?? '') ?? [];
      const folder = await tempFolder(t);
      const verdicts: string[] = [];
      // Ready; not running, read directly; not ready; failed; a wrong configuration.
      for (const code of [0, 3, 4, 1, 2]) {
        await writeFile(join(folder, daemon), `#!/bin/sh\n[ "$*" = status ] || exit 9\nexit ${code}\n`, {
          mode: 0o755,
        });
        const env = { PATH: `${folder}:${process.env.PATH}` };
        const result = await exec(['/bin/sh', '-c', command], { timeoutMs: 10_000, env });
        verdicts.push(`${code} ${result.code === 0 ? 'well' : 'not well'}`);
      }
      assert.deepEqual(verdicts, ['0 well', '3 not well', '4 well', '1 not well', '2 not well']);
    });
  }

  it('starts from images with fixed versions', () => {
    const images = lines.flatMap((line) => /^ARG \w+_IMAGE=(\S+)$/.exec(line)?.[1] ?? []);
    assert.equal(images.length, 3);
    for (const image of images) assert.match(image, /:\d+\.\d+/);
    for (const line of lines.filter((one) => one.startsWith('FROM '))) {
      assert.match(line, /^FROM (?:--platform=\$BUILDPLATFORM )?\$\{\w+_IMAGE\} AS \w+$/);
    }
  });
});

function isHealthOf(daemon: string): (line: string) => boolean {
  return (line) => line.startsWith('HEALTHCHECK ') && line.includes(` ${daemon} status`);
}
