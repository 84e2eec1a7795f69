import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { ConfigError } from '../../common/config/config.ts';
import { exec } from '../../common/daemon/exec.ts';
import { formatInstance } from '../../common/instance.ts';
import { findProgram } from '../../deploy/tools/debian/programs.ts';
import { loadConfig } from '../../nerve/config/config.ts';
import { readSynapseConfig, type SynapseConfig } from '../../synapse/config/config.ts';
import { sampleSnapshot } from '../../synapse/config/sample.ts';
import { preview } from '../../synapse/haproxy/preview.ts';
import { BackendSpecs } from '../../synapse/haproxy/spec/backends.ts';
import { reportLines } from '../../synapse/haproxy/spec/build-backend.ts';
import { haproxyVersions } from '../support/haproxy/versions.ts';
import { type LogLine, recordingLog } from '../support/process/recording-log.ts';
import { root } from '../support/repository.ts';
import { tempFolder } from '../support/temp-folder.ts';

const folder = join(root, 'test/real-world');
const newest = haproxyVersions.at(-1);
const names = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

/** Configurations as people have them; README.md beside this file says how to add one. */
describe('real-world configurations', () => {
  for (const name of names) describe(name, () => becomesWhatIsExpected(join(folder, name)));
});

function becomesWhatIsExpected(at: string): void {
  const files = readdirSync(at);
  const nerve = files.find((file) => file.startsWith('nerve.'));
  const synapse = files.find((file) => file.startsWith('synapse.'));
  if (nerve !== undefined) nerveLoads(at, join(at, nerve));
  if (synapse !== undefined) synapseLoads(at, join(at, synapse));

  it('has a configuration', () => {
    assert.ok(nerve !== undefined || synapse !== undefined, `${at} has no file nerve.* or synapse.*`);
  });
}

function nerveLoads(at: string, file: string): void {
  it('nerve loads it with exactly these problems, and announces exactly this', async () => {
    const { log, lines } = recordingLog();
    const loaded = await orProblems(loadConfig({ file, env: {} }, { log }));
    await assertExpected(at, 'nerve-problems.txt', problemText(at, loaded.problems ?? warnings(lines)));
    const services = [...(loaded.config?.services.values() ?? [])].map(({ key, instance, checks }) => ({
      key,
      record: JSON.parse(formatInstance(instance, undefined)),
      checks: checks.map(({ type, name, target, timeoutMs, rise, fall }) => {
        return { type, name, target, timeoutMs, rise, fall };
      }),
    }));
    await assertExpected(at, 'announced.json', loaded.config && `${JSON.stringify(services, null, 2)}\n`);
  });
}

function synapseLoads(at: string, file: string): void {
  it('synapse loads it with exactly these problems', async () => {
    const { log, lines } = recordingLog();
    const { config, problems } = await orProblems(readSynapseConfig(file, { env: {}, log }));
    if (config !== undefined) {
      const specs = new BackendSpecs(log, () => config.haproxy);
      for (const [service, { config: section }] of config.services) specs.of(service, section);
      reportLines(config.haproxy, log);
    }
    await assertExpected(at, 'synapse-problems.txt', problemText(at, problems ?? warnings(lines)));
  });

  it('each version of HAProxy accepts exactly the haproxy.cfg that is expected for it', async (t) => {
    const { config } = await orProblems(readSynapseConfig(file, { env: {} }));
    let newer: string | undefined;
    for (const version of haproxyVersions.toReversed()) {
      const program = await findProgram('haproxy', { version });
      const text = config && (await haproxyCfg(config, { program, folder: await tempFolder(t) }));
      const name = version === newest ? 'haproxy.cfg' : `haproxy-${version}.cfg`;
      await assertExpected(at, name, version !== newest && text === newer ? undefined : text);
      newer = text;
      if (text === undefined) continue;
      const candidate = join(await tempFolder(t), 'haproxy.cfg');
      await writeFile(candidate, asHere(text));
      const { code, stdout, stderr } = await exec([program, '-c', '-V', '-f', candidate], { timeoutMs: 60_000 });
      assert.equal(code, 0, `HAProxy ${version}: ${stdout}${stderr}`);
      assert.doesNotMatch(stderr, /ALERT/, `HAProxy ${version}`);
    }
  });
}

/** The file that follows, as for a host that has none yet; the order of servers must not depend on this host's name. */
async function haproxyCfg(
  { services, haproxy }: SynapseConfig,
  { program, folder }: { readonly program: string; readonly folder: string },
): Promise<string> {
  const own = {
    ...haproxy,
    haproxy_path: program,
    config_file_path: join(folder, 'haproxy.cfg'),
    server_order_seed: haproxy.server_order_seed ?? 1,
  };
  const { text, problems } = await preview(own, sampleSnapshot({ services }));
  assert.deepEqual([...problems], []);
  // The generation is a hash of everything, and says nothing of its own here.
  return text.replace(/(setenv SYNAPSE_GEN) .*/, '$1 GENERATION');
}

/** The configurations name users that this machine may not have, which HAProxy refuses. */
function asHere(text: string): string {
  return text.replaceAll(/\b(user|group)(\s+)(haproxy|smartstack)\b/g, '$1$2root');
}

async function orProblems<Config>(
  loading: Promise<Config>,
): Promise<{ readonly config?: Config; readonly problems?: readonly string[] }> {
  try {
    return { config: await loading };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return { problems: error.message.split('\n') };
  }
}

function warnings(lines: readonly LogLine[]): readonly string[] {
  return lines
    .filter(({ level }) => level === 'warn' || level === 'error')
    .map(({ message, fields: { file, path, service, reason, note, line } }) =>
      [file, path, service, message, reason, note, line].filter((part) => part !== undefined && part !== '').join(': '),
    );
}

/** Undefined when there is nothing to say. */
function problemText(at: string, problems: readonly string[]): string | undefined {
  const lines = problems.map((line) => line.replaceAll(`${at}/`, ''));
  return lines.length === 0 ? undefined : `${lines.join('\n')}\n`;
}

/** The text of a file of the case; undefined: the file must not be there. With `UPDATE_GOLDEN=1` it becomes the file. */
async function assertExpected(at: string, name: string, text: string | undefined): Promise<void> {
  const path = join(at, 'expected', name);
  if (process.env.UPDATE_GOLDEN) {
    await mkdir(join(at, 'expected'), { recursive: true });
    if (text === undefined) await rm(path, { force: true });
    else await writeFile(path, text);
  }
  const expected = existsSync(path) ? await readFile(path, 'utf8') : undefined;
  assert.equal(text, expected, `differs from ${path}; UPDATE_GOLDEN=1 takes it over`);
}
