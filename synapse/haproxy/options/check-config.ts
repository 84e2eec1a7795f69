import type { Problem } from '../../../common/config/config.ts';
import { isObject } from '../../../common/config/formats.ts';
import { type HaproxyConfig, socketPaths } from './config.ts';

/**
 * Problems of options that do not fit together. Paths of problems start at `at`, such as `haproxy`; `given` is the section as
 * the user wrote it.
 */
export function checkHaproxyConfig(config: HaproxyConfig, at: string, given: unknown = {}): readonly Problem[] {
  const problems: Problem[] = [];
  const required = (option: keyof HaproxyConfig, by: keyof HaproxyConfig, or = ''): void => {
    problems.push({
      path: `${at}.${option}`,
      message: `the \`${option}\` option is required when \`${by}\` is true${or}`,
    });
  };
  if (config.global.length === 0 && !isGiven(given, 'global')) {
    problems.push({ path: `${at}.global`, message: 'haproxy requires a global section: a list of lines' });
  }
  if (config.defaults.length === 0 && !isGiven(given, 'defaults')) {
    problems.push({ path: `${at}.defaults`, message: 'haproxy requires a defaults section: a list of lines' });
  }
  if (config.do_writes && config.config_file_path === null) required('config_file_path', 'do_writes');
  if (config.do_socket && socketPaths(config).length === 0) required('socket_file_path', 'do_socket');
  if (config.do_reloads && !config.watched && config.reload_command === null && config.master_socket_path === null) {
    required('reload_command', 'do_reloads', ' (or `master_socket_path`)');
  }
  if (config.reload_free_services !== null && !config.do_socket) {
    problems.push({
      path: `${at}.reload_free_services`,
      message: 'needs the runtime API: do_socket must be true',
    });
  }
  if (config.do_checks === true && config.check_command !== null && config.candidate_config_file_path === null) {
    required('candidate_config_file_path', 'do_checks', ' and `check_command` is given');
  }
  if (config.do_socket) problems.push(...weakSockets(config, at));
  return problems;
}

/** Our sockets without the right to change anything: each change would be denied, and then cost a reload. */
function weakSockets(config: HaproxyConfig, at: string): readonly Problem[] {
  const paths = socketPaths(config);
  return config.global.flatMap((line, index) => {
    if (/\slevel\s+admin(\s|$)/.test(line) || !paths.some((path) => isSocketLine(line, path))) return [];
    const message = `synapse cannot change anything through this socket: write '${line.trim()} level admin'`;
    return [{ path: `${at}.global[${index}]`, message, severity: 'warning' }];
  });
}

/** True for a line of `global` that opens this runtime socket. */
export function isSocketLine(line: string, path: string): boolean {
  const address = /^\s*stats\s+socket\s+(\S+)/.exec(line)?.[1];
  return address === path || address === `unix@${path}`;
}

/** True for an empty list too: the user says that there are no lines. */
function isGiven(given: unknown, key: string): boolean {
  return isObject(given) && Array.isArray(given[key]);
}
