import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exec } from '../common/exec.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** A file that would be planted, what it imports, and whether the rules let it. */
const cases: readonly (readonly [file: string, imports: string, allowed: boolean])[] = [
  ['common/planted.ts', '../nerve/check.ts', false],
  ['common/etcd/planted.ts', '../../synapse/source.ts', false],
  ['common/planted-too.ts', '../test/support/eventually.ts', false],
  ['common/fine.ts', './log.ts', true],
  ['nerve/planted.ts', '../synapse/source.ts', false],
  ['nerve/planted-too.ts', './checks/http.ts', false],
  ['nerve/fine.ts', './check.ts', true],
  ['nerve/checks/planted.ts', '../service.ts', false],
  ['nerve/checks/planted-too.ts', './http.ts', false],
  ['nerve/checks/fine.ts', '../check.ts', true],
  ['nerve/checks/fine-too.ts', '../../common/log.ts', true],
  ['nerve/checks/fine-three.ts', './http/options.ts', true],
  ['nerve/checks/http/planted.ts', '../tcp.ts', false],
  ['nerve/checks/http/planted-too.ts', '../../service.ts', false],
  ['nerve/checks/http/fine.ts', '../../check.ts', true],
  ['nerve/checks/http/fine-too.ts', './options.ts', true],
  ['synapse/planted.ts', '../nerve/check.ts', false],
  ['synapse/planted-too.ts', './haproxy/model/model.ts', false],
  ['synapse/planted-three.ts', '../deploy/debian.ts', false],
  ['synapse/synapse.ts', './haproxy/output.ts', true],
  ['synapse/sources/planted.ts', '../haproxy/model/model.ts', false],
  ['synapse/sources/planted-too.ts', '../catalog.ts', false],
  ['synapse/sources/fine.ts', '../source.ts', true],
  ['synapse/sources/fine-too.ts', '../poll.ts', true],
  ['synapse/sources/planted-three.ts', './static.ts', false],
  ['synapse/sources/fine-three.ts', './dns/lookup.ts', true],
  ['synapse/sources/dns/planted.ts', '../static.ts', false],
  ['synapse/sources/dns/planted-too.ts', '../../catalog.ts', false],
  ['synapse/sources/dns/planted-three.ts', '../../haproxy/model/model.ts', false],
  ['synapse/sources/dns/fine.ts', '../../poll.ts', true],
  ['synapse/haproxy/planted.ts', '../catalog.ts', false],
  ['synapse/haproxy/fine.ts', '../output.ts', true],
  ['synapse/haproxy/file/planted.ts', '../../catalog.ts', false],
  ['synapse/haproxy/file/fine.ts', '../../output.ts', true],
  ['synapse/haproxy/file/fine-too.ts', '../model/model.ts', true],
  ['nerve/hysteresis.ts', 'node:fs', false],
  ['synapse/select/select.ts', 'node:fs/promises', false],
  ['synapse/view/planted.ts', '../haproxy/model/model.ts', false],
  ['synapse/commands/fine.ts', '../haproxy/preview.ts', true],
  ['synapse/haproxy/runtime/plan.ts', 'node:net', false],
  ['synapse/haproxy/model/build.ts', 'node:util', true],
];

describe('the import rules', () => {
  let output = '';

  before(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'smartstack-lint-'));
    try {
      await copyFile(join(root, 'biome.json'), join(folder, 'biome.json'));
      for (const [file, imports] of cases) {
        await mkdir(dirname(join(folder, file)), { recursive: true });
        await writeFile(join(folder, file), `import { thing } from '${imports}';\n\nthing();\n`);
      }
      const biome = join(root, 'node_modules/.bin/biome');
      const argv = [biome, 'lint', '--vcs-enabled=false', '--reporter=github', '--max-diagnostics=none', '.'] as const;
      const result = await exec(argv, { timeout: 60_000, cwd: folder, maxOutput: 1 << 20 });
      output = result.stdout;
      assert.equal(result.code, 1, result.stderr);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  for (const [file, imports, allowed] of cases) {
    it(`${allowed ? 'let' : 'do not let'} ${file} import ${imports}`, () => {
      const complaints = output
        .split('\n')
        .filter((line) => line.includes('noRestrictedImports') && line.includes(`/${file},`));
      assert.equal(complaints.length, allowed ? 0 : 1, output);
    });
  }
});
