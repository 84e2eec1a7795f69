import assert from 'node:assert/strict';
import { once } from 'node:events';
import { access, readdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { parse } from 'yaml';
import { makeInstance } from '../common/instance.ts';
import { ownCheckTypes } from '../nerve/check.ts';
import { loadConfig } from '../nerve/config/config.ts';
import { loadOwnOrOurs } from '../synapse/config/user-module.ts';
import { type InstanceSet, type SourceContext, type SourcePlugin, sourceFolder } from '../synapse/source.ts';
import { checkDeps } from './support/daemons/check.ts';
import { elsewhere, pages, read, tried } from './support/docs/all-pages.ts';
import { programsOf, synapseBase, type Value, wholeOf } from './support/docs/configurations.ts';
import { type DocStack, startDocStack } from './support/docs/documented-host.ts';
import { anchors, blocks } from './support/docs/markdown.ts';
import { eventually } from './support/eventually.ts';
import { acceptedByHaproxy } from './support/haproxy/haproxy-accepts.ts';
import { promtool } from './support/process/promtool.ts';
import { root } from './support/repository.ts';
import { tempFolder } from './support/temp-folder.ts';

/** Lines that are tried by another test, or cannot end. */
const notHere: readonly (readonly [line: RegExp, where: string])[] = [
  [/^npm (run demo|test|run check|run bench|ci)/, 'test/deploy/demo.test.ts'],
  [/^npm run simulate/, 'test/simulation/simulation.test.ts'],
  [/^\. \.cache\/demo|localhost:7001|\$API_1/, 'test/deploy/walk.test.ts'], // in the demo
  [/^(nerve|synapse) -c \S+\s*(#.*)?$/, 'test/support/daemons/daemon.ts'],
  [/^haproxy -W -S /, 'test/support/haproxy/haproxy.ts'],
];

describe('the pages', () => {
  it('include the main ones', () => {
    for (const page of ['README.md', 'common/concepts.md', 'nerve/README.md', 'deploy/migration.md']) {
      assert.ok(tried.includes(page), `${page} among ${tried.join(', ')}`);
    }
  });

  it('begin with a README of at most 1,300 words', async () => {
    const words = (await read('README.md')).split(/\s+/).filter((word) => word !== '').length;
    assert.ok(words <= 1_300, `${words} words`);
  });

  it('link to pages, files and headings that exist', async () => {
    for (const page of pages) {
      const text = await read(page);
      for (const [, link = ''] of text.matchAll(/\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"/g)) {
        if (link === '' || /^[a-z]+:/.test(link)) continue;
        const [file = '', anchor] = link.split('#');
        const target = file === '' ? page : join(dirname(page), file);
        await assert.doesNotReject(access(join(root, target)), `${page}: ${link}`);
        if (anchor !== undefined) assert.ok(anchors(await read(target)).includes(anchor), `${page}: ${link}`);
      }
    }
  });

  it('are all reached from the README', async () => {
    const reached = new Set<string>();
    const follow = async (page: string): Promise<void> => {
      if (reached.has(page)) return;
      reached.add(page);
      for (const [, link = ''] of (await read(page)).matchAll(/\]\(([^)#\s]+\.md)[^)]*\)/g)) {
        if (!/^[a-z]+:/.test(link)) await follow(join(dirname(page), link));
      }
    };
    await follow('README.md');
    assert.deepEqual(
      pages.filter((page) => !reached.has(page) && page !== 'CHANGELOG.md'),
      [],
    );
  });

  it('whose commands another test tries are named by that test', async () => {
    const tests = (await readdir(join(root, 'test'), { recursive: true })).filter((path) => path.endsWith('.ts'));
    const texts = await Promise.all(tests.map((path) => read(join('test', path))));
    for (const page of elsewhere) {
      if (page === 'deploy/README.md' || blocks(await read(page), 'sh').length === 0) continue;
      assert.ok(
        texts.some((text) => text.includes(page)),
        `no test names ${page}`,
      );
    }
    for (const [, where] of notHere) await access(join(root, where));
  });

  it('about images: the commands are those that test/e2e/compose.test.ts runs', async () => {
    const source = (await read('test/e2e/compose.test.ts')).replace(/'exec', '-T'/g, "'exec'");
    for (const line of blocks(await read('deploy/README.md'), 'sh')
      .join('')
      .split('\n')) {
      const [, command = ''] = /^docker compose -f deploy\/docker-compose\.yml ([^#]*)/.exec(line) ?? [];
      const args = command
        .trim()
        .split(/ +/)
        .filter((arg) => arg !== '--build' && arg !== '');
      const call = `${args.map((arg) => `'${arg}'`).join(', ')})`;
      if (args.length > 0) assert.ok(source.includes(call), `${line}: ${call}`);
    }
  });

  it('have blocks in languages that are tried, and no others', async () => {
    for (const page of tried) {
      const found = [...(await read(page)).matchAll(/^ *```(\w*)/gm)].map(([, language = '']) => language);
      for (const language of new Set(found)) {
        assert.ok(['sh', 'yaml', 'js', 'mustache', ''].includes(language), `${page}: ${language}`);
      }
    }
  });

  it('name only npm scripts that exist', async () => {
    const { scripts } = JSON.parse(await read('package.json'));
    for (const page of tried) {
      for (const [, name = ''] of (await read(page)).matchAll(/npm run ([a-z]+)/g)) assert.ok(name in scripts, name);
    }
  });
});

describe('the configurations in', () => {
  for (const page of tried) {
    it(`${page} are valid, for HAProxy too`, async (t) => {
      const folder = await tempFolder(t);
      for (const [index, block] of blocks(await read(page), 'yaml').entries()) {
        const value: Value = parse(block);
        const where = `${page}, block ${index + 1}:\n${block}`;
        if ('scrape_configs' in value) {
          await promtool(['check', 'config'], block, folder);
          continue;
        }
        for (const program of programsOf(value)) {
          const file = join(folder, `${program}-${index}.yaml`);
          await writeFile(file, JSON.stringify(wholeOf(program, value)));
          const env = { ETCD_PASSWORD: 'x' };
          await assert.doesNotReject(
            program === 'nerve' ? loadConfig({ file, env }) : acceptedByHaproxy(file, { env }),
            where,
          );
        }
      }
    });
  }

  it('the README for one service in a container is valid', async () => {
    const variables = Object.fromEntries(
      [...(await read('README.md')).matchAll(/\b((?:NERVE|ETCD)_[A-Z]+)=(\S+?)(?=[\s`])/g)].map((match) => [
        match[1],
        match[2],
      ]),
    );
    assert.deepEqual(Object.keys(variables).sort(), ['ETCD_HOSTS', 'NERVE_CHECK', 'NERVE_PORT', 'NERVE_SERVICE']);
    const { services } = await loadConfig({ file: undefined, env: variables });
    assert.deepEqual([...services.keys()], ['api']);
  });

  it('the template makes a file that HAProxy accepts', async (t) => {
    const folder = await tempFolder(t);
    const [template = ''] = blocks(await read('synapse/haproxy/README.md'), 'mustache');
    const path = join(folder, 'own.mustache');
    await writeFile(path, template);
    const file = join(folder, 'synapse.yaml');
    const haproxy = { ...synapseBase.haproxy, template_path: path };
    await writeFile(file, JSON.stringify({ ...synapseBase, haproxy }));
    assert.match(await acceptedByHaproxy(file, { env: {} }), /^backend api$/m);
  });

  it("the check of one's own passes and fails as it says", async (t) => {
    const file = join(await tempFolder(t), 'queue.mjs');
    await writeFile(file, blocks(await read('nerve/README.md'), 'js')[0] ?? '');
    const server = createServer((_, response) => response.end('60')).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    const { port } = server.address() as AddressInfo;
    const plugin = await ownCheckTypes.load('module');
    const target = { service: 'api', host: '127.0.0.1', port };
    const probe = (limit: number): Promise<void> =>
      plugin.create({ file, options: { limit } }, target, checkDeps)(AbortSignal.timeout(10_000));
    await probe(100);
    await assert.rejects(probe(50), /the queue is too long/);
  });
});

describe("the source of one's own in synapse/README.md", () => {
  it('finds what it asks for, and ends when it is told to', async (t) => {
    const module = join(await tempFolder(t), 'inventory.mjs');
    await writeFile(module, blocks(await read('synapse/README.md'), 'js')[0] ?? '');
    const found = JSON.stringify([{ host: '10.0.0.5', port: 3000 }]);
    const server = createServer((_, response) => response.end(found)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      server.close();
      server.closeAllConnections();
    });
    const { port } = server.address() as AddressInfo;
    const plugin = await loadOwnOrOurs<SourcePlugin<{ readonly url: string }>>(sourceFolder, 'inventory', module);
    const end = new AbortController();
    const sets: InstanceSet[] = [];
    const source = plugin.create({ url: `http://127.0.0.1:${port}/` }, {} as SourceContext);
    const running = source((set) => sets.push(set), end.signal).catch(() => {});
    await eventually(() => assert.deepEqual(sets[0]?.instances, [makeInstance({ host: '10.0.0.5', port: 3000 })]));
    end.abort();
    await running;
  });
});

describe('the commands in', () => {
  let stack: DocStack;
  const done = new Set<string>();
  before(async () => {
    stack = await startDocStack();
  });
  after(() => stack?.close());

  for (const page of tried) {
    it(`${page} can be run as they stand there`, async () => {
      for (const block of blocks(await read(page), 'sh')) {
        const lines = block.split('\n').filter((line) => line.trim() !== '');
        const here = lines.filter((line) => !notHere.some(([pattern]) => pattern.test(line)) && !done.has(line));
        for (const line of here) done.add(line);
        if (here.length > 0) await stack.run(here.join('\n'));
      }
    });
  }

  it('prose exist: every subcommand that a page names', async () => {
    const help = { nerve: await stack.run('nerve --help'), synapse: await stack.run('synapse --help') };
    for (const page of tried) {
      for (const [, program = '', command = ''] of (await read(page)).matchAll(/`(nerve|synapse) ([a-z]+)\b/g)) {
        assert.match(help[program as 'nerve'], new RegExp(`^ +${command}\\b`, 'm'), `${page}: ${program} ${command}`);
      }
    }
  });
});
