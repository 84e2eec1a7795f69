import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { thisHost } from '../../../../common/host.ts';
import { checkCandidate } from '../../../../synapse/haproxy/configfile/check.ts';
import { testHaproxy } from '../../../support/haproxy/haproxy.ts';
import { testConfig } from '../../../support/haproxy/haproxy-output.ts';
import { haproxyVersions } from '../../../support/haproxy/versions.ts';

describe('the check of a candidate file', () => {
  for (const version of haproxyVersions) {
    for (const word of ['quiet', 'daemon', 'maxconn 100']) {
      it(`names the line that HAProxy ${version} refuses below '${word}' in the global section`, async (t) => {
        const haproxy = await testHaproxy(version);
        t.after(() => haproxy.close());
        const path = join(haproxy.folder, 'candidate.cfg');
        await writeFile(path, `global\n\t${word}\nbackend b\n\tbalance nonsense\n`);
        const config = testConfig(haproxy);
        const checked = await checkCandidate(path, { config, host: thisHost }, new AbortController().signal);
        assert.ok(checked.result === 'refused');
        assert.deepEqual(
          checked.findings.map(({ line }) => line).filter((line) => line !== undefined),
          [4],
        );
        assert.match(checked.message, /balance/);
      });
    }
  }
});
