import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { reasonOf } from '../log.ts';
import { ConfigError, type Problem } from '../problem.ts';
import type { EtcdOptions } from './options.ts';

/**
 * Looks at the TLS files of an `etcd` section: for `check` commands. A running daemon does not insist: files may be
 * delivered after its start, and are read again when they change.
 * @throws {ConfigError} naming each file that cannot be read or is not what it should be
 */
export function checkTlsFiles({ tls }: EtcdOptions, file: string): void {
  const problems: Problem[] = [];
  const add = (key: string, message: string): void => void problems.push({ file, path: `etcd.${key}`, message });
  const texts = new Map<string, Buffer>();
  for (const key of ['ca', 'cert', 'key'] as const) {
    const path = tls?.[key];
    if (path === undefined) continue;
    try {
      texts.set(key, readFileSync(path));
    } catch (error) {
      add(`tls.${key}`, `cannot be read: ${reasonOf(error)}`);
    }
  }
  const [ca, cert, key] = [texts.get('ca'), texts.get('cert'), texts.get('key')];
  // OpenSSL takes a file without any certificate for an empty list, and trusts nobody then.
  for (const [name, text] of [['ca', ca] as const, ['cert', cert] as const]) {
    if (text !== undefined && !text.includes('-----BEGIN')) add(`tls.${name}`, 'is not a PEM file');
  }
  if (problems.length === 0) {
    try {
      createSecureContext({ ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) });
    } catch (error) {
      add('tls', `cannot be used: ${reasonOf(error)}`);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
}
