import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { exec } from '../../../common/daemon/exec.ts';
import type { Log } from '../../../common/daemon/log.ts';
import { findProgram } from '../../../deploy/tools/debian/programs.ts';
import { readSynapseConfig } from '../../../synapse/config/config.ts';
import { sampleSnapshot } from '../../../synapse/config/sample.ts';
import { preview } from '../../../synapse/haproxy/preview.ts';

/** The haproxy.cfg that follows from a configuration of synapse. @throws unless both are accepted */
export async function acceptedByHaproxy(
  path: string,
  options: { readonly env: NodeJS.ProcessEnv; readonly log?: Log; readonly methods?: readonly string[] },
): Promise<string> {
  const config = await readSynapseConfig(path, options);
  if (options.methods !== undefined) {
    const methods = [...config.services.values()].map(({ discovery }) => discovery.method);
    assert.deepEqual(methods, options.methods);
  }
  const candidate = `${path}.cfg`;
  const output = { ...config.haproxy, config_file_path: candidate };
  const { text, problems } = await preview(output, sampleSnapshot(config));
  assert.deepEqual([...problems], []);
  await writeFile(candidate, text);
  const argv = [await findProgram('haproxy'), '-c', '-f', candidate] as const;
  const { code, stdout, stderr } = await exec(argv, { timeoutMs: 60_000 });
  assert.equal(code, 0, `${stdout}${stderr}`);
  return text;
}
