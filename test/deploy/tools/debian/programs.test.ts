import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, it } from 'node:test';
import { findOnPath, type ProgramName } from '../../../../deploy/tools/debian/programs.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

describe('a program on the PATH', () => {
  const path = process.env.PATH;
  afterEach(() => {
    process.env.PATH = path;
  });

  const cases: readonly [name: ProgramName, output: string, version: string | undefined, isUsed: boolean][] = [
    ['etcd', 'etcd Version: 3.5.30', undefined, true],
    ['etcd', 'etcd Version: 3.10.1', undefined, true],
    ['etcd', 'etcd Version: 3.3.25', undefined, false],
    ['etcd', 'etcd Version: 3.5.30', '3.5', true],
    ['etcd', 'etcd Version: 3.6.1', '3.5', false],
    ['etcdctl', 'etcdctl version: 3.4.23', undefined, true],
    ['haproxy', 'HAProxy version 2.6.12-1+deb12u4 2026/10/17', undefined, true],
    ['haproxy', 'HAProxy version 2.4.22-0ubuntu0.22.04.3 2023/12/04', undefined, false],
    ['haproxy', 'HA-Proxy version 2.2.9-2+deb11u6 2023/12/10', undefined, false],
    ['haproxy', 'no version at all', undefined, false],
    ['promtool', 'promtool, version 3.1.0 (branch: HEAD)', undefined, true],
  ];
  for (const [name, output, version, isUsed] of cases) {
    const wanted = version === undefined ? 'any version' : `version ${version}`;
    it(`that prints '${output}' ${isUsed ? 'is' : 'is not'} used where ${wanted} of ${name} is wanted`, async (t) => {
      const folder = await tempFolder(t);
      const file = join(folder, name);
      await writeFile(file, `#!/bin/sh\necho '${output}'\n`, { mode: 0o755 });
      // The machine's own programs are found after it, if there are any.
      process.env.PATH = folder;
      const found = await findOnPath(name, { ...(version !== undefined && { version }) });
      assert.equal(found === file, isUsed);
    });
  }
});
