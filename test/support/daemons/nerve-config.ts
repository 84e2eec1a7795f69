import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { ConfigError } from '../../../common/config/config.ts';
import { loadConfig, type NerveConfig } from '../../../nerve/config/config.ts';
import { tempFolder } from '../temp-folder.ts';

/** Loads a configuration from a file `nerve.json`, beside which the other files lie. */
export async function loadNerveConfig(
  t: TestContext,
  value: object,
  files: Readonly<Record<string, string>> = {},
): Promise<NerveConfig> {
  const folder = await tempFolder(t);
  for (const [name, text] of Object.entries({ 'nerve.json': JSON.stringify(value), ...files })) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return loadConfig({ file: join(folder, 'nerve.json'), env: {} });
}

/** The problems for which a configuration is refused, each with its path. */
export async function configProblems(loading: Promise<unknown>): Promise<readonly string[]> {
  const error = await loading.then(
    () => assert.fail('it was accepted'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConfigError, String(error));
  return error.problems.map(({ path, message }) => `${path}: ${message}`);
}
