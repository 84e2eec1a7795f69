import assert from 'node:assert/strict';
import { access, chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { completionScript, shells } from '../../../common/cli/completion.ts';
import { exec } from '../../../common/daemon/exec.ts';
import { unpackPackages } from '../../../deploy/tools/debian/programs.ts';
import { nerveProgram } from '../../../nerve/whole-program.ts';
import { synapseProgram } from '../../../synapse/whole-program.ts';
import { programPath } from '../../support/daemons/daemon.ts';
import { patienceMs } from '../../support/eventually.ts';

/** Both shells for real, with the built programs on the PATH and no daemon running. */
describe('completion', () => {
  let folder: string;
  let env: NodeJS.ProcessEnv;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'completion-test-'));
    await mkdir(join(folder, 'bin'));
    const config = { admin: { listen: '127.0.0.1:1' }, services: { 'billing-api': {}, 'billing-web': {}, search: {} } };
    await writeFile(join(folder, 'services.json'), JSON.stringify(config));
    for (const program of [nerveProgram, synapseProgram]) {
      const path = join(folder, 'bin', program.name);
      await writeFile(path, `#!/bin/sh\nexec ${process.execPath} ${programPath(program.name)} "$@"\n`);
      await chmod(path, 0o755);
      for (const shell of shells)
        await writeFile(join(folder, `${program.name}.${shell}`), completionScript(program, shell));
    }
    env = { ...process.env, PATH: `${join(folder, 'bin')}:${process.env.PATH}`, HOME: folder, TERM: 'dumb' };
  });
  after(() => rm(folder, { recursive: true, force: true }));

  describe('in bash', () => {
    const offered = async (line: string): Promise<string> => {
      const [program = ''] = line.split(' ');
      const script = `source ${join(folder, `${program}.bash`)}; COMP_LINE=$1 COMP_POINT=\${#1}; _${program}; echo "\${COMPREPLY[*]}"`;
      const argv = [
        'bash',
        '--norc',
        '-c',
        script,
        'bash',
        line.replaceAll('FILE', join(folder, 'services.json')),
      ] as const;
      const { code, stdout, stderr } = await exec(argv, { timeoutMs: patienceMs, env });
      assert.deepEqual([code, stderr], [0, '']);
      return stdout.trim();
    };
    for (const [line, words] of [
      ['synapse st', 'status'],
      ['synapse status --js', '--json'],
      ['synapse --color ', 'auto always never'],
      ['synapse services --prefix ', ''],
      ['synapse status -c FILE bill', 'billing-api billing-web'],
      ['synapse explain -c FILE sea', 'search'],
      ['synapse describe doc', 'docker'],
      ['synapse completion ', 'bash zsh'],
      ['nerve drain -c FILE billing-w', 'billing-web'],
      ['nerve -i me un', 'undrain'],
    ] as const) {
      it(`offers ${words || 'nothing'} after ${line}`, async () => assert.equal(await offered(line), words));
    }

    it('runs no command that is part of a name', async () => {
      const ran = join(folder, 'ran');
      const services = { [`$(touch\${IFS}${ran})`]: {}, [`\`touch\${IFS}${ran}\``]: {}, search: {} };
      const config = join(folder, 'evil.json');
      await writeFile(config, JSON.stringify({ admin: { listen: '127.0.0.1:1' }, services }));
      assert.equal(await offered(`synapse status -c ${config} `), await offered(`synapse status -c ${config} s`));
      await assert.rejects(access(ran), { code: 'ENOENT' });
    });
  });

  it('works in an interactive zsh', async () => {
    const root = await unpackPackages('bookworm', ['zsh', 'zsh-common']);
    const zsh = join(root, 'bin/zsh');
    const [machine = ''] = (await readdir(join(root, 'usr/lib'))).filter((name) => /linux-gnu/.test(name));
    const modules = join(root, 'usr/lib', machine, 'zsh/5.9');
    const setUp = `module_path=(${modules}); fpath=(${root}/usr/share/zsh/functions/**/*(/N))`;
    const typed = (line: string, shows: string): string =>
      `zpty -w -n shell $'\\x15${line}\\t\\x07'; await '<${shows}>'\n`;
    const script = `
${setUp}
zmodload zsh/zpty || exit 2
zpty -b shell "${zsh} -f -i"
zpty -w shell 'PS1=; ${setUp}; autoload -Uz compinit; compinit -u -D; source ${folder}/synapse.zsh'
# The line as it is after a Tab, at Ctrl-G.
zpty -w shell 'show() { print -r -- "<$BUFFER>" }; zle -N show; bindkey "^G" show; echo $((41 + 1))'
seen=
await() {
  until [[ $seen == *"$1"* ]]; do
    zpty -r -t shell more && seen+=$more || sleep 0.05
    ((SECONDS < 50)) || { print -r -- "$1 did not come, but: $seen"; exit 3 }
  done
  seen=\${seen#*"$1"}
}
await 42
await 2004h
# The line editor is there with that prompt: it switches bracketed paste on.
${typed('synapse exp', 'synapse explain ')}
${typed('synapse status --js', 'synapse status --json ')}
${typed('synapse --color al', 'synapse --color always ')}
${typed(`synapse explain -c ${folder}/services.json sea`, `synapse explain -c ${folder}/services.json search `)}
${typed('synapse completion z', 'synapse completion zsh ')}
zpty -d shell
echo done
`;
    const { code, stdout, stderr } = await exec([zsh, '-f', '-c', script], { timeoutMs: 60_000, env });
    assert.deepEqual([code, stdout, stderr], [0, 'done\n', '']);
  });
});
