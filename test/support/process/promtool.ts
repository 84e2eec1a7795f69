import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../../common/daemon/exec.ts';
import { findProgram } from '../../../deploy/tools/debian/programs.ts';

/** Runs `promtool ARGS FILE` on this text. @throws with what it says, unless all is well */
export async function promtool(args: readonly string[], text: string, folder: string): Promise<void> {
  const file = join(folder, `${args.join('-')}.yml`);
  await writeFile(file, text);
  const argv = [await findProgram('promtool'), ...args, file] as const;
  const { code, stdout, stderr } = await exec(argv, { timeoutMs: 60_000, maxOutput: 1 << 20, cwd: folder });
  if (code !== 0) throw new Error(`promtool ${args.join(' ')}:\n${stdout}${stderr}`);
}
