import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { assertFails, assertGivesUp, assertPasses, makeCheck } from '../../support/daemons/check.ts';
import { tempFolder } from '../../support/temp-folder.ts';

async function write(t: TestContext, text: string): Promise<string> {
  const file = join(await tempFolder(t), 'mycheck.mjs');
  await writeFile(file, text);
  return file;
}

const limit = `export const check = {
  schema: { limit: { doc: 'longest queue', format: 'positive-integer', default: 10 } },
  create({ limit }, target) {
    return async () => {
      if (limit < 5) throw new Error(\`\${target.service} on \${target.host}:\${target.port} has only \${limit}\`);
    };
  },
};`;

describe('the module check', () => {
  it("runs a user's own check, with its options and the service's address", async (t) => {
    const file = await write(t, limit);
    await assertPasses(await makeCheck('module', { file }));
    await assertPasses(await makeCheck('module', { file, options: { limit: 5 } }));
    await assertFails(
      await makeCheck('module', { file, options: { limit: '4' } }, { port: 81 }),
      /^api on 127\.0\.0\.1:81 has only 4$/,
    );
  });

  it('fails with the problems of its options', async (t) => {
    const file = await write(t, limit);
    await assertFails(
      await makeCheck('module', { file, options: { limit: 0, limt: 1 } }),
      /^options\.limit: must be .*; options\.limt: unknown key; did you mean limit\?$/,
    );
  });

  it('gives a check without a schema the options unchanged', async (t) => {
    const file = await write(
      t,
      'export const check = { create: (options) => () => { throw new Error(JSON.stringify(options)); } };',
    );
    await assertFails(await makeCheck('module', { file, options: { a: [1] } }), /^\{"a":\[1\]\}$/);
  });

  const broken: readonly (readonly [title: string, text: string, reason: RegExp])[] = [
    [
      'fails when the file is no JavaScript',
      'export const check = ',
      /^cannot load .*mycheck\.mjs: Unexpected end of input$/,
    ],
    ['fails when the file imports a missing module', 'import "./gone.mjs";', /^cannot load .*gone\.mjs/],
    [
      'fails when the file exports something else',
      'export const chekc = {};',
      /exports no 'check' with a function 'create'$/,
    ],
    [
      'fails when create returns no function',
      'export const check = { create: () => 1 };',
      /: create returned no function$/,
    ],
    ['fails when create throws', 'export const check = { create() { throw new Error("no way"); } };', /^no way$/],
  ];
  for (const [title, text, reason] of broken) {
    it(title, async (t) => assertFails(await makeCheck('module', { file: await write(t, text) }), reason));
  }

  it('fails when the file does not exist', async () => {
    await assertFails(await makeCheck('module', { file: '/no/such/check.mjs' }), /^cannot load \/no\/such\/check\.mjs/);
    await assert.rejects(makeCheck('module', { file: 'check.mjs' }), /file: must be an absolute path/);
  });

  it('gives up at the deadline and at an abort, even when the user’s check does not', async (t) => {
    const file = await write(t, 'export const check = { create: () => () => new Promise(() => {}) };');
    await assertGivesUp(await makeCheck('module', { file }));
  });
});
