import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { ConfigError, type Problem } from '../config/problem.ts';
import { reasonOf } from '../log.ts';
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
  for (const [name, text] of [['ca', ca] as const, ['cert', cert] as const]) {
    const problem = text && certificateProblem(String(text));
    if (problem) add(`tls.${name}`, problem);
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

/** OpenSSL passes over what it cannot read in a list of authorities, and trusts nobody then. */
function certificateProblem(text: string): string | undefined {
  const blocks = text.match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^-]*-----END/g);
  if (blocks === null) return 'has no certificate in PEM form';
  try {
    for (const block of blocks) new X509Certificate(`${block} CERTIFICATE-----`);
    return undefined;
  } catch (error) {
    return `has a certificate that cannot be read: ${reasonOf(error)}`;
  }
}
