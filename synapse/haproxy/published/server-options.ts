import { formatOptions, parseOptions } from '../spec/server-options.ts';
import { serverOptions } from './directives.ts';

/** Local options that published ones cannot go with: HAProxy takes the state of the other server. */
const exclusive: readonly string[] = ['track'];

/**
 * Puts published server options on top of the local ones: each replaces the local option of the same name, and every other
 * local option stays. Published options are a part of what `trusted` lets a record have.
 * @throws saying why the published options are refused
 */
export function mergeServerOptions(local: string, published: string, trusted: readonly string[]): string {
  const options = parseOptions(published);
  const seen = new Set<string>();
  for (const option of options) {
    const { keyword, values } = option;
    const text = JSON.stringify(formatOptions([option]).slice(0, 80));
    if (!trusted.includes(keyword) && !trusted.includes('*')) {
      throw new Error(`${text} is not in haproxy.trust_server_options`);
    }
    if (!serverOptions.some((form) => form.read([keyword, ...values]) !== undefined)) {
      throw new Error(
        `${text} may not be published; allowed are ${serverOptions.map((form) => `'${form.text}'`).join(', ')}`,
      );
    }
    if (seen.has(keyword)) throw new Error(`${text}: ${keyword} is there twice`);
    seen.add(keyword);
  }
  if (options.length === 0) return local;
  if (/["'\\#$]/.test(local)) {
    throw new Error(
      'the local server_options have quotes, escapes, a comment or a variable, so nothing can be put on top',
    );
  }
  const own = parseOptions(local);
  const other = own.find(({ keyword }) => exclusive.includes(keyword));
  if (other !== undefined) throw new Error(`the local server_options have '${formatOptions([other])}'`);
  return formatOptions([...own.filter(({ keyword }) => !seen.has(keyword)), ...options]);
}
