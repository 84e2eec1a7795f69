import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { exec } from '../../common/exec.ts';
import type { Log } from '../../common/log.ts';
import { findProgram } from '../../deploy/debian.ts';
import { haproxySection } from '../../synapse/haproxy/options/section.ts';
import { preview } from '../../synapse/haproxy/preview.ts';
import { readSynapseConfig } from '../../synapse/options/config.ts';
import { sampleSnapshot } from '../../synapse/options/sample.ts';

/** The haproxy.cfg that follows from a configuration of synapse. @throws unless both are accepted */
export async function acceptedByHaproxy(
  path: string,
  options: { readonly env: NodeJS.ProcessEnv; readonly log?: Log; readonly methods?: readonly string[] },
): Promise<string> {
  const config = await readSynapseConfig(path, haproxySection, options);
  if (options.methods !== undefined) {
    const methods = [...config.services.values()].map(({ discovery }) => discovery.method);
    assert.deepEqual(methods, options.methods);
  }
  const candidate = `${path}.cfg`;
  const output = { ...config.output, config_file_path: candidate };
  const { text, problems } = await preview(output, sampleSnapshot(config));
  assert.deepEqual([...problems], []);
  await writeFile(candidate, text);
  const argv = [await findProgram('haproxy'), '-c', '-f', candidate] as const;
  const { code, stdout, stderr } = await exec(argv, { timeout: 60_000 });
  assert.equal(code, 0, `${stdout}${stderr}`);
  return text;
}
