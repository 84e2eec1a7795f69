import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';
import { loadPlugin, type PluginFolder, pluginNames } from '../../common/plugin.ts';
import { tempFolder } from '../support/temp-folder.ts';

async function pluginFolder(t: TestContext): Promise<PluginFolder> {
  const root = await tempFolder(t);
  await mkdir(join(root, 'plugins'));
  await writeFile(join(root, 'package.json'), '{"type":"module"}');
  await writeFile(join(root, 'secret.js'), 'export const thing = "reached";');
  await writeFile(join(root, 'plugins', 'one.js'), 'export const thing = 1;');
  await writeFile(join(root, 'plugins', 'one.js.map'), '{}');
  await writeFile(join(root, 'plugins', 'broken.js'), 'export const other = 1;');
  return { kind: 'thing', url: pathToFileURL(`${root}/plugins/`), symbol: 'thing', aliases: { uno: 'one' } };
}

describe('plugins', () => {
  it('are named after the files of the folder', async (t) => {
    assert.deepEqual(await pluginNames(await pluginFolder(t)), ['broken', 'one']);
  });

  it('are loaded by name and by alias', async (t) => {
    const folder = await pluginFolder(t);
    assert.equal(await loadPlugin(folder, 'one'), 1);
    assert.equal(await loadPlugin(folder, 'uno'), 1);
  });

  for (const name of ['two', '../secret', 'one.js', '', '__proto__', 'constructor']) {
    it(`are not loaded by ${JSON.stringify(name)}; the message lists all plugins`, async (t) => {
      const folder = await pluginFolder(t);
      await assert.rejects(loadPlugin(folder, name), {
        message: `unknown thing ${JSON.stringify(name)}; known are broken, one`,
      });
    });
  }

  it('are refused when they do not export their symbol', async (t) => {
    await assert.rejects(loadPlugin(await pluginFolder(t), 'broken'), /exports no 'thing'/);
  });
});
