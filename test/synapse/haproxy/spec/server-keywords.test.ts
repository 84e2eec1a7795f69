import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { exec } from '../../../../common/daemon/exec.ts';
import { findProgram } from '../../../../deploy/tools/debian/programs.ts';
import { argumentOf, keywordsWithValue, valueProblem } from '../../../../synapse/haproxy/spec/server-keywords.ts';
import { haproxyVersions } from '../../../support/haproxy/versions.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

const frame = [
  'defaults',
  '\tmode http',
  '\ttimeout connect 1s',
  '\ttimeout client 1s',
  '\ttimeout server 1s',
  'frontend front',
  '\tbind 127.0.0.1:1',
  '\tdefault_backend back',
  'backend back',
];

/** The values at the limits of a keyword, and its choices. */
function extremesOf(keyword: string): readonly string[] {
  const argument = argumentOf(keyword);
  switch (argument.kind) {
    case 'number':
      return [String(argument.min), String(argument.max)];
    case 'time':
      return [String(argument.minMs), `${argument.maxMs}ms`, `${argument.maxMs / 1000}s`, '100000us', '1d'];
    case 'choice':
      return argument.values;
    default:
      return keyword === 'cookie' ? ['x', 'aA0_.:@+/=-', 'x'.repeat(128)] : [];
  }
}

describe('the keywords of server lines', { concurrency: haproxyVersions.length }, () => {
  for (const version of haproxyVersions) {
    it(`are followed by a value where HAProxy ${version} expects one, and all values at the limits load`, async (t) => {
      const program = await findProgram('haproxy', { version });
      const file = join(await tempFolder(t), 'haproxy.cfg');
      await writeFile(file, `${frame.join('\n')}\n`);
      const listed = await exec([program, '-dKcfg', '-q', '-c', '-f', file], { timeoutMs: 30_000 });
      const known = new Map<string, boolean>();
      for (const [, keyword = '', more] of listed.stdout.matchAll(/^\tserver <name> <addr> (\S+)( \+-?1)?$/gm)) {
        known.set(keyword, more !== undefined);
      }
      assert.ok(known.size >= 100, listed.stdout.slice(0, 500));
      // These two are parsed by others than their own entry in HAProxy's list.
      known.set('usesrc', true);
      known.delete('set-proxy-v2-tlv-fmt');
      for (const [keyword, hasValue] of known) {
        assert.equal(argumentOf(keyword).kind !== 'none', hasValue, keyword);
      }
      const lines: string[] = [];
      for (const keyword of keywordsWithValue()) {
        if (!known.has(keyword)) continue;
        for (const value of extremesOf(keyword)) {
          assert.equal(valueProblem(argumentOf(keyword), value), undefined, `${keyword} ${value}`);
          lines.push(`\tserver s${lines.length} 127.0.0.1:80 ${keyword} ${value}`);
        }
      }
      assert.ok(lines.length > 60);
      await writeFile(file, `${[...frame, ...lines].join('\n')}\n`);
      const { code, stdout, stderr } = await exec([program, '-c', '-f', file], { timeoutMs: 30_000 });
      assert.equal(code, 0, `${stdout}${stderr}`);
    });
  }
});
