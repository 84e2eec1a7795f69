import type { Problem } from '../../../common/config/config.ts';
import type { ServiceHaproxyConfig } from './serviceconfig.ts';

/** HAProxy's proxy names (configuration manual, chapter 4). */
const proxyName = /^[A-Za-z0-9_.:-]+$/;

/** What the schema cannot say about one service: names and lines that would break the file. Paths start at `at`. */
export function checkServiceConfig(config: ServiceHaproxyConfig, at: string): readonly Problem[] {
  const problems: Problem[] = [];
  if (config.backend_name !== null && !proxyName.test(config.backend_name)) {
    problems.push({
      path: `${at}.backend_name`,
      message: `${JSON.stringify(config.backend_name)}: allowed are A-Z a-z 0-9 - _ . :`,
    });
  }
  for (const key of ['bind_address', 'bind_options'] as const) {
    if (hasBreak(config[key] ?? '')) problems.push({ path: `${at}.${key}`, message: 'must be one line' });
  }
  if (typeof config.server_options === 'string' && hasBreak(config.server_options)) {
    problems.push({ path: `${at}.server_options`, message: 'must be one line' });
  }
  for (const key of ['frontend', 'backend', 'listen', 'shared_frontend'] as const) {
    config[key].forEach((line, index) => {
      if (hasBreak(line)) problems.push({ path: `${at}.${key}[${index}]`, message: 'must be one line' });
    });
  }
  return problems;
}

/** True for a name that HAProxy takes for a frontend or backend. */
export function isProxyName(name: string): boolean {
  return proxyName.test(name);
}

function hasBreak(text: string): boolean {
  return /[\r\n\0]/.test(text);
}
