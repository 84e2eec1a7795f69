import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { before, describe, it } from 'node:test';
import { exec } from '../common/daemon/exec.ts';
import { root } from './support/repository.ts';

/** A file that would be planted, what it imports, and whether the rules let it. */
const cases: readonly (readonly [file: string, imports: string, allowed: boolean])[] = [
  ['common/planted.ts', '../nerve/check.ts', false],
  ['common/etcd/planted.ts', '../../synapse/source.ts', false],
  ['common/planted-too.ts', '../test/support/eventually.ts', false],
  ['common/fine.ts', './reason.ts', true],
  ['common/etcd/client/planted.ts', '../watch/list.ts', false],
  ['common/etcd/client/fine.ts', '../../async/limit.ts', true],
  ['common/etcd/watch/planted.ts', '../records/records.ts', false],
  ['common/etcd/watch/fine.ts', '../client/client.ts', true],
  ['common/etcd/records/planted.ts', '../keys/lease.ts', false],
  ['common/etcd/records/fine.ts', '../watch/list.ts', true],
  ['common/etcd/keys/fine.ts', '../watch/liveness.ts', true],
  ['nerve/planted.ts', '../synapse/source.ts', false],
  ['nerve/planted-too.ts', './checks/http.ts', false],
  ['nerve/fine.ts', './check.ts', true],
  ['nerve/config/planted.ts', '../checks/http.ts', false],
  ['nerve/config/planted-too.ts', '../health/pace.ts', false],
  ['nerve/config/planted-three.ts', '../announce/registries.ts', false],
  ['nerve/config/fine.ts', '../check.ts', true],
  ['nerve/health/planted.ts', '../announce/registries.ts', false],
  ['nerve/health/planted-too.ts', '../running-service.ts', false],
  ['nerve/health/fine.ts', '../config/config.ts', true],
  ['nerve/announce/planted.ts', '../health/pace.ts', false],
  ['nerve/announce/planted-too.ts', '../nerve.ts', false],
  ['nerve/announce/fine.ts', '../config/config.ts', true],
  ['nerve/service-state.ts', 'node:fs', false],
  ['nerve/service-state.ts', './running-service.ts', false],
  ['nerve/checks/planted.ts', '../nerve.ts', false],
  ['nerve/checks/planted-too.ts', './http.ts', false],
  ['nerve/checks/fine.ts', '../check.ts', true],
  ['nerve/checks/fine-too.ts', '../../common/reason.ts', true],
  ['nerve/checks/fine-three.ts', './http/options.ts', true],
  ['nerve/checks/http/planted.ts', '../tcp.ts', false],
  ['nerve/checks/http/planted-too.ts', '../../nerve.ts', false],
  ['nerve/checks/http/fine.ts', '../../check.ts', true],
  ['nerve/checks/http/fine-too.ts', './options.ts', true],
  ['synapse/planted.ts', '../nerve/check.ts', false],
  ['synapse/page/planted.ts', '../synapse.ts', false],
  ['synapse/page/planted-too.ts', 'node:fs', false],
  ['synapse/page/planted-three.ts', '../../common/daemon/log.ts', false],
  ['synapse/page/fine.ts', '../report/event-shape.ts', true],
  ['synapse/page/fine-too.ts', '../../common/wording.ts', true],
  ['synapse/report/planted-shape.ts', './state.ts', false],
  ['synapse/report/fine-shape.ts', './service-shape.ts', true],
  ['synapse/planted-too.ts', '../deploy/tools/browser.ts', false],
  ['synapse/addresses/planted.ts', '../catalog/select.ts', false],
  ['synapse/addresses/planted-too.ts', '../haproxy/spec/types.ts', false],
  ['synapse/addresses/fine.ts', '../output.ts', true],
  ['synapse/catalog/planted.ts', '../haproxy/spec/types.ts', false],
  ['synapse/discovery/planted.ts', '../haproxy/spec/types.ts', false],
  ['synapse/synapse.ts', './haproxy/output.ts', true],
  ['synapse/catalog/planted-too.ts', '../config/config.ts', false],
  ['synapse/catalog/planted-three.ts', '../discovery/discoverer.ts', false],
  ['synapse/catalog/planted-four.ts', '../report/events.ts', false],
  ['synapse/catalog/fine.ts', '../source.ts', true],
  ['synapse/catalog/select.ts', 'node:fs/promises', false],
  ['synapse/catalog/changes.ts', '../config/config.ts', false],
  ['synapse/discovery/planted-too.ts', '../config/config.ts', false],
  ['synapse/discovery/planted-three.ts', '../report/events.ts', false],
  ['synapse/discovery/fine.ts', '../catalog/labels.ts', true],
  ['synapse/discovery/multi/planted.ts', '../../report/events.ts', false],
  ['synapse/discovery/multi/fine.ts', '../discoverer.ts', true],
  ['synapse/config/planted.ts', '../report/events.ts', false],
  ['synapse/config/planted-too.ts', '../synapse.ts', false],
  ['synapse/config/fine.ts', '../discovery/discoverer.ts', true],
  ['synapse/config/fine-too.ts', '../haproxy/options/section.ts', true],
  ['synapse/report/planted-too.ts', '../commands/context.ts', false],
  ['synapse/report/fine.ts', '../catalog/catalog.ts', true],
  ['synapse/discovery/sources/planted.ts', '../../haproxy/spec/types.ts', false],
  ['synapse/discovery/sources/planted-too.ts', '../discoverer.ts', false],
  ['synapse/discovery/sources/planted-three.ts', './static.ts', false],
  ['synapse/discovery/sources/planted-four.ts', '../../catalog/catalog.ts', false],
  ['synapse/discovery/sources/fine.ts', '../../source.ts', true],
  ['synapse/discovery/sources/fine-too.ts', '../poll.ts', true],
  ['synapse/discovery/sources/fine-three.ts', './dns/lookup.ts', true],
  ['synapse/discovery/sources/fine-four.ts', '../../../common/reason.ts', true],
  ['synapse/discovery/sources/dns/planted.ts', '../static.ts', false],
  ['synapse/discovery/sources/dns/planted-too.ts', '../../../catalog/catalog.ts', false],
  ['synapse/discovery/sources/dns/planted-three.ts', '../../../haproxy/spec/types.ts', false],
  ['synapse/discovery/sources/dns/fine.ts', '../../poll.ts', true],
  ['synapse/discovery/sources/dns/fine-too.ts', '../../../../common/reason.ts', true],
  ['synapse/commands/fine.ts', '../haproxy/preview.ts', true],
  ['synapse/report/planted.ts', '../discovery/sources/etcd.ts', false],
  ['synapse/haproxy/planted.ts', '../catalog/catalog.ts', false],
  ['synapse/haproxy/fine.ts', '../output.ts', true],
  ['synapse/haproxy/options/planted.ts', '../spec/types.ts', false],
  ['synapse/haproxy/options/fine.ts', '../../../common/config/schema.ts', true],
  ['synapse/haproxy/spec/planted.ts', '../runtime/plan.ts', false],
  ['synapse/haproxy/spec/planted-too.ts', '../output.ts', false],
  ['synapse/haproxy/spec/fine.ts', '../options/config.ts', true],
  ['synapse/haproxy/spec/build-backend.ts', 'node:net', false],
  ['synapse/haproxy/spec/planted-three.ts', '../published/merge.ts', false],
  ['synapse/haproxy/options/planted-published.ts', '../published/merge.ts', false],
  ['synapse/haproxy/published/planted.ts', '../runtime/plan.ts', false],
  ['synapse/haproxy/published/fine.ts', '../spec/types.ts', true],
  ['synapse/haproxy/ports/planted.ts', '../runtime/plan.ts', false],
  ['synapse/haproxy/ports/fine.ts', '../spec/types.ts', true],
  ['synapse/haproxy/runtime/planted.ts', '../configfile/render.ts', false],
  ['synapse/haproxy/runtime/planted-too.ts', '../output.ts', false],
  ['synapse/haproxy/runtime/fine.ts', '../metrics.ts', true],
  ['synapse/haproxy/runtime/fine-too.ts', '../spec/types.ts', true],
  ['synapse/haproxy/runtime/plan.ts', 'node:net', false],
  ['synapse/haproxy/configfile/planted.ts', '../reload/reload.ts', false],
  ['synapse/haproxy/configfile/planted-too.ts', '../../catalog/catalog.ts', false],
  ['synapse/haproxy/configfile/fine.ts', '../../output.ts', true],
  ['synapse/haproxy/configfile/fine-too.ts', '../runtime/process.ts', true],
  ['synapse/haproxy/reload/planted.ts', '../apply-loop.ts', false],
  ['synapse/haproxy/reload/fine.ts', '../configfile/config-writer.ts', true],
  ['synapse/haproxy/statistics/planted.ts', '../haproxy.ts', false],
  ['synapse/haproxy/statistics/fine.ts', '../runtime/connection.ts', true],
  ['nerve/health/rise-fall.ts', 'node:fs', false],
  ['etcd-cluster/planted.ts', '../deploy/demo/stack.ts', false],
  ['etcd-cluster/planted-too.ts', '../nerve/check.ts', false],
  ['etcd-cluster/fine.ts', '../deploy/tools/debian/programs.ts', true],
  ['deploy/tools/debian/planted.ts', '../../../etcd-cluster/command.ts', false],
  ['deploy/tools/debian/planted-too.ts', '../browser.ts', false],
  ['deploy/tools/debian/fine.ts', '../../../common/reason.ts', true],
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
      const result = await exec(argv, { timeoutMs: 60_000, cwd: folder, maxOutput: 1 << 20 });
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

describe('time and chance', () => {
  /** What takes time or chance past the clock; a method of another object, such as a socket's `setTimeout`, does not. */
  const past =
    /(?<![.\w])(?:setTimeout|setInterval|clearTimeout|clearInterval)\(|(?<![.\w])performance\.now|\bDate\.now\(|\bnew Date\(\)|\bMath\.random\b|\bAbortSignal\.timeout\(|timers\/promises/;
  const exempt = new Set(['common/async/clock.ts']);

  const offending = (text: string): readonly string[] =>
    text.split('\n').filter((line) => !/^\s*(?:\/?\*|\/\/)/.test(line) && past.test(line));

  it('the rule sees what goes past the clock, and nothing else', () => {
    assert.equal(offending('const at = performance.now();').length, 1);
    assert.equal(offending('const timer = setTimeout(run, 5);').length, 1);
    assert.equal(offending('const chance = Math.random;').length, 1);
    assert.deepEqual(offending('clock.setTimeout(run, 5);\nsocket.setTimeout(5);\n// performance.now()'), []);
  });

  // The live page runs in a browser, which has a clock of its own.
  it('the daemons take time and chance from common/async/clock.ts only', async () => {
    const found: string[] = [];
    for (const folder of ['common', 'nerve', 'synapse']) {
      for (const name of await readdir(join(root, folder), { recursive: true })) {
        const file = `${folder}/${name}`;
        if (!file.endsWith('.ts') || exempt.has(file) || file.startsWith('synapse/page/')) continue;
        for (const line of offending(await readFile(join(root, file), 'utf8'))) found.push(`${file}: ${line.trim()}`);
      }
    }
    assert.deepEqual(found, []);
  });
});
