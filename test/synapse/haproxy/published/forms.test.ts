import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { exec } from '../../../../common/daemon/exec.ts';
import { findProgram } from '../../../../deploy/tools/debian/programs.ts';
import { compileForm } from '../../../../synapse/haproxy/published/form.ts';
import { mergePublished, publishedBase } from '../../../../synapse/haproxy/published/merge.ts';
import { serviceConfig } from '../../../support/haproxy/haproxy-output.ts';
import { fileText, plainConfig } from '../../../support/haproxy/haproxy-text.ts';
import { together } from '../../../support/haproxy/published-documents.ts';
import { formsOn, linesOf } from '../../../support/haproxy/published-lines.ts';
import { haproxyVersions } from '../../../support/haproxy/versions.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

const forms: readonly [form: string, line: string, read: string | undefined][] = [
  ['a b|c', 'a c', 'a c'],
  ['a b|c', 'a', undefined],
  ['a b|c', 'a b c', undefined],
  ['a [b] c', 'a c', 'a c'],
  ['a [b] c', 'a b c', 'a b c'],
  ['a [b] c', 'a b b c', undefined],
  ['a [b] [c DEPTH]', 'a c 3 b', 'a b c 3'],
  ['a [b] [c DEPTH]', 'a c b', undefined],
  ['a [b] [c DEPTH]', 'a b c 3 b', undefined],
  ['a DEPTH...', 'a 1 2 3', 'a 1 2 3'],
  ['a DEPTH...', 'a', undefined],
  ['a DEPTH...', 'a 1 17', undefined],
  ['f(DEPTH)', 'f(3)', 'f(3)'],
  ['f(DEPTH)', 'f(3)3', undefined],
  ['f.g', 'fxg', undefined],
  ['[!] a', '! a', '! a'],
];

describe('the form of a published line', () => {
  for (const [form, line, read] of forms) {
    it(`'${form}' ${read === undefined ? 'is not that of' : 'is that of'} '${line}'`, () => {
      assert.equal(compileForm(form).read(line.split(' '))?.join(' '), read);
    });
  }

  it('that names an unknown parameter is a mistake in the program', () => {
    assert.throws(() => compileForm('a NONE'), /no parameter is called NONE/);
  });
});

/** How many lines of each form are checked. */
const samples = 5;

describe('lines that may be published', () => {
  for (const version of haproxyVersions) {
    for (const mode of ['http', 'tcp']) {
      it(`are accepted without a warning by HAProxy ${version} in mode ${mode}`, async (t) => {
        const file = join(await tempFolder(t), 'haproxy.cfg');
        const haproxy = plainConfig({
          frontend_suffix: '.in',
          global: ['zero-warning'],
          defaults: [`mode ${mode}`, 'timeout client 1s', 'timeout server 1s', 'timeout connect 1s'],
        });
        const services: Record<
          string,
          { config: Record<string, unknown>; instances: readonly { host: string; port: number }[] }
        > = {};
        for (const side of ['frontend', 'backend'] as const) {
          for (const { text, needsHttp } of formsOn(side)) {
            if (needsHttp && mode === 'tcp') continue;
            for (const line of fc.sample(linesOf(text), { numRuns: samples, seed: 1 })) {
              const needed = together.find(([begin]) => line.startsWith(begin))?.[1];
              const own = { port: 10_000 + Object.keys(services).length, server_options: 'check' };
              const lines = needed === undefined ? [line] : [needed, line];
              const result = mergePublished(publishedBase('api', serviceConfig(own), haproxy), {
                haproxy: { [side]: lines },
              });
              assert.ok('config' in result, `${line}: ${JSON.stringify(result)}`);
              services[`s${own.port}`] = { config: { ...result.config }, instances: [{ host: '127.0.0.1', port: 1 }] };
            }
          }
        }
        await writeFile(file, fileText(haproxy, services));
        const argv = [await findProgram('haproxy', { version }), '-c', '-f', file] as const;
        const { code, stdout, stderr } = await exec(argv, { timeoutMs: 60_000 });
        assert.equal(code, 0, `${stdout}${stderr}`.slice(0, 4_000));
        assert.ok(Object.keys(services).length > 150);
      });
    }
  }
});
