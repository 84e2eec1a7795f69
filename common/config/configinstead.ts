import type { NotRunning } from '../admin/client.ts';
import { ConfigError, formatProblem } from './problem.ts';

/**
 * Reads the configuration because the daemon does not answer.
 * @throws both reasons, when the configuration cannot be used either
 */
export async function configInstead<Config>(why: NotRunning, load: () => Promise<Config>): Promise<Config> {
  try {
    return await load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problems = error.problems.map((problem) => `\n  ${formatProblem(problem)}`).join('');
    throw new Error(`${why.message}; and nothing else was asked, because of the configuration:${problems}`);
  }
}
