import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { manPage } from '../../../common/cli/man-page.ts';
import { exec } from '../../../common/daemon/exec.ts';
import { unpackPackages } from '../../../deploy/tools/debian/programs.ts';
import { nerveProgram } from '../../../nerve/whole-program.ts';
import { synapseProgram } from '../../../synapse/whole-program.ts';
import { patienceMs } from '../../support/eventually.ts';
import { root } from '../../support/repository.ts';

for (const program of [nerveProgram, synapseProgram]) {
  describe(`the manual of ${program.name}`, () => {
    let folder: string;
    let mandoc: string;
    let file: string;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'manpage-test-'));
      file = join(folder, `${program.name}.1`);
      mandoc = join(await unpackPackages('bookworm', ['mandoc']), 'usr/bin/mandoc');
      await writeFile(file, manPage(program));
    });
    after(() => rm(folder, { recursive: true, force: true }));

    it('is correct roff', async () => {
      const { stdout, stderr } = await exec([mandoc, '-T', 'lint', '-W', 'warning', file], { timeoutMs: patienceMs });
      // It has no date, so that one source makes one manual.
      const found = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !/missing date/.test(line));
      assert.deepEqual(found, []);
    });

    it('contains every command and option', async () => {
      const { stdout } = await exec([mandoc, '-T', 'ascii', file], {
        timeoutMs: patienceMs,
        // Bold and underlined make it twice as long.
        maxOutput: 1024 * 1024,
      });
      // Bold and underlined are typed twice, over each other.
      const text = stdout.split(`\b`).reduce((before, after) => before.slice(0, -1) + after);
      for (const [name, { hidden, options = {}, exits = {} }] of Object.entries(program.commands)) {
        if (hidden) continue;
        assert.match(text, new RegExp(`^ {3}${program.name} ${name} \\[OPTIONS\\]`, 'm'));
        for (const option of Object.keys(options)) assert.ok(text.includes(`--${option}`), option);
        for (const code of Object.keys(exits)) assert.match(text, new RegExp(`^ +${code} +\\S`, 'm'));
      }
      assert.match(text, new RegExp(`${program.configEnv}\\s+same as --config`));
    });

    it('is the manual that the build ships', async () => {
      assert.equal(await readFile(join(root, `dist/man/${program.name}.1`), 'utf8'), manPage(program));
    });
  });
}
