import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exec } from '../common/exec.ts';
import { loadPlugin } from '../common/plugin.ts';
import { findProgram } from '../deploy/debian.ts';
import { checkFolder } from '../nerve/check.ts';
import type { AnyCheckPlugin } from './support/check.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** The blocks of one language, in order. */
function blocks(text: string, language: string): readonly string[] {
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter((match) => match[1] === language)
    .map((match) => `${match[2]}`);
}

describe('the README', () => {
  let folder: string;
  let readme: string;
  let path: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'smartstack-readme-'));
    readme = await readFile(join(root, 'README.md'), 'utf8');
    path = [dirname(await findProgram('haproxy')), process.env.PATH].join(delimiter);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const check = async (program: 'nerve' | 'synapse', configuration: string | undefined): Promise<void> => {
    const file = join(folder, `${program}.yaml`);
    await writeFile(file, configuration ?? '');
    const argv = [process.execPath, join(root, `dist/${program}/main.js`), 'check', '-c', file] as const;
    const { code, stderr } = await exec(argv, { timeout: 60_000, env: { ...process.env, PATH: path } });
    assert.deepEqual([code, stderr.replaceAll(folder, '')], [0, '']);
  };

  it('has a configuration for nerve that is valid', () => check('nerve', blocks(readme, 'yaml')[0]));

  it('has a configuration for synapse that is valid, for HAProxy too', () =>
    check('synapse', blocks(readme, 'yaml')[1]));

  it('has a way to run nerve without a file that is valid', async () => {
    const variables = Object.fromEntries(
      [...readme.matchAll(/\b((?:NERVE|ETCD)_[A-Z]+)=(\S+?)(?=[\s`])/g)].map((match) => [match[1], match[2]]),
    );
    assert.deepEqual(Object.keys(variables).sort(), ['ETCD_HOSTS', 'NERVE_CHECK', 'NERVE_PORT', 'NERVE_SERVICE']);
    const argv = [process.execPath, join(root, 'dist/nerve/main.js'), 'check'] as const;
    const { code, stderr } = await exec(argv, { timeout: 60_000, env: { PATH: path, ...variables } });
    assert.deepEqual([code, stderr], [0, '']);
  });

  it("has a check of one's own that passes and fails as it says", async () => {
    const file = join(folder, 'queue.mjs');
    await writeFile(file, blocks(readme, 'js')[0] ?? '');
    const server = createServer((_, response) => response.end('60')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const plugin = await loadPlugin<AnyCheckPlugin>(checkFolder, 'module');
    const probe = (limit: number): Promise<void> =>
      plugin.create(
        { file, options: { limit } },
        { service: 'api', host: '127.0.0.1', port },
      )(AbortSignal.timeout(10_000));
    try {
      await probe(100);
      await assert.rejects(probe(50), /the queue is too long/);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });

  it('names only npm scripts that exist', async () => {
    const { scripts } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
    const named = [...readme.matchAll(/npm (?:run )?([a-z]+)/g)].map((match) => match[1] as string);
    const own = named.filter((name) => !['ci', 'link', 'packages'].includes(name));
    assert.ok(own.length > 4);
    assert.deepEqual(
      own.filter((name) => !(name in scripts)),
      [],
    );
  });
});
