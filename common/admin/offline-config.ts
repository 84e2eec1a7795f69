import { ConfigError, formatProblem } from '../config/problem.ts';
import type { NotRunning } from './client.ts';

/**
 * Reads the configuration for a command that can do without the daemon, which does not answer.
 * @throws both reasons, when the configuration is invalid too
 */
export async function loadConfigOffline<Config>(why: NotRunning, load: () => Promise<Config>): Promise<Config> {
  try {
    return await load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const problems = error.problems.map((problem) => `\n  ${formatProblem(problem)}`).join('');
    throw new Error(`${why.message}; and the configuration is invalid:${problems}`);
  }
}
