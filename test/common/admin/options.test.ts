import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadAdminConfig } from '../../../common/admin/options.ts';
import type { ConfigError } from '../../../common/config/config.ts';
import { formatProblem } from '../../../common/config/problem.ts';
import { tempFolder } from '../../support/temp-folder.ts';

describe('the admin section, read alone', () => {
  it('reports in plain words why the file cannot be read', async (t) => {
    const folder = await tempFolder(t);
    const missing = join(folder, 'none.yaml');
    for (const [file, problem] of [
      [missing, `${missing}: does not exist`],
      [folder, `${folder}: is a folder, not a file`],
    ] as const) {
      await assert.rejects(loadAdminConfig(file, { listen: '127.0.0.1:1', env: {} }), ({ problems }: ConfigError) => {
        assert.deepEqual(problems.map(formatProblem), [problem]);
        return true;
      });
    }
  });
});
