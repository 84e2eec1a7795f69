import { isError, joinPath, type Problem } from '../../common/config/config.ts';
import { isObject } from '../../common/config/formats.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import type { PublishedResult } from '../catalog/published.ts';
import { haproxySection } from '../haproxy/options/section.ts';

/**
 * Options that may be published. Someone who can write to the registry must not decide on which address this host
 * listens, and must not touch other services.
 */
const allowedKeys = ['port', 'frontend', 'backend', 'listen', 'server_options', 'backend_order', 'cookie_value_method'];

/** First words of lines that stay within their own service: no files, programs, scripts, sockets or logs. */
const allowedLines = [
  'acl',
  'balance',
  'compression',
  'cookie',
  'default-server',
  'description',
  'fullconn',
  'hash-balance-factor',
  'hash-type',
  'http-check',
  'http-request',
  'http-response',
  'http-reuse',
  'maxconn',
  'mode',
  'monitor-uri',
  'no',
  'option',
  'redirect',
  'retries',
  'retry-on',
  'stick',
  'stick-table',
  'tcp-check',
  'tcp-request',
  'timeout',
];

/** Words that make such a line read files, run programs, or expand this host's environment variables. */
const harmful =
  /["'\\`$#]|(^|[\s,([{])(external-check|lua\.\S*|use-service|lf-file|file|errorfile|errorfiles|-f|-M|map\S*|env\(|ca-file|crt|crl-file|peers|set-map|del-map|add-acl|del-acl|capture|send-spoe-group|set-src|set-dst)/;

/**
 * Puts a published section on top of the service's own one, key by key. The published one is refused as a whole when
 * anything in it is broken or could do harm.
 */
export function mergePublished(local: unknown, published: unknown): PublishedResult {
  if (!isObject(published)) return { refused: 'must be an object of sections by name' };
  const section = published[haproxySection.key];
  if (section === undefined || section === null) return read(local);
  if (!isObject(section)) return { refused: `${haproxySection.key}: must be an object of options` };
  for (const [key, value] of Object.entries(section)) {
    const refused = check(key, value);
    if (refused !== null) return { refused: `${joinPath(haproxySection.key, key)}: ${refused}` };
  }
  return read({ ...(isObject(local) ? local : {}), ...section });
}

function check(key: string, value: unknown): string | null {
  if (!allowedKeys.includes(key)) return `may not be published; allowed are ${allowedKeys.join(', ')}`;
  if (key === 'server_options' && typeof value === 'string') {
    return harmful.test(value) ? `${JSON.stringify(value.slice(0, 80))} could do harm` : null;
  }
  if (!['frontend', 'backend', 'listen'].includes(key)) return null;
  const lines: readonly unknown[] = Array.isArray(value) ? value : typeof value === 'string' ? value.split('\n') : [];
  for (const line of lines) {
    const text = typeof line === 'string' ? line.trim() : '';
    if (text === '') continue;
    const shown = JSON.stringify(text.slice(0, 80));
    if (!allowedLines.includes(text.split(/\s/)[0] ?? '')) return `${shown} may not be published`;
    if (harmful.test(text)) return `${shown} could do harm`;
  }
  return null;
}

function read(section: unknown): PublishedResult {
  const problems: Problem[] = [];
  try {
    const config = haproxySection.readService(section, { path: haproxySection.key, problems });
    const wrong = problems.filter(isError);
    if (wrong.length === 0) return { config };
    return { refused: wrong.map(({ path, message }) => `${path}: ${message}`).join('; ') };
  } catch (error) {
    return { refused: reasonOf(error) };
  }
}
