import { formatTable } from '../common/describe.ts';
import { createEtcdClient } from '../common/etcd/client.ts';
import type { EtcdOptions } from '../common/etcd/options.ts';
import { createReflector, type KeyChange } from '../common/etcd/reflector.ts';
import { type Instance, parseInstance } from '../common/instance.ts';
import { type Log, reasonOf } from '../common/log.ts';

export interface ListOptions {
  /** Where the registry's services are, ending in a slash. */
  readonly prefix: string;
  /** Goes on with one line for each change. */
  readonly watch: boolean;
  /** Milliseconds that etcd may take for its first answer. */
  readonly timeout: number;
  readonly print: (text: string) => void;
  readonly log: Log;
}

/**
 * Prints every service and instance in the registry.
 * @throws when etcd does not answer in time
 */
export async function listServices(etcd: EtcdOptions, options: ListOptions, signal?: AbortSignal): Promise<void> {
  const { prefix, watch, timeout, print, log } = options;
  const end = new AbortController();
  const scope = signal === undefined ? end.signal : AbortSignal.any([signal, end.signal]);
  const client = createEtcdClient(etcd, { log }, scope);
  const reflector = createReflector(client, { log }, scope);
  let answered = false;
  const timer = setTimeout(() => end.abort(), timeout);
  await reflector.follow(
    prefix,
    ({ entries, changed, reason }) => {
      clearTimeout(timer);
      if (!answered) {
        const rows = [...entries].map(([key, { value }]) => row(key.slice(prefix.length), value));
        print(formatTable([['SERVICE', 'INSTANCE', 'STATE', 'WEIGHT', 'LABELS'], ...rows.sort(byText)]));
      } else if (reason === 'watch' || changed.length > 0) {
        for (const change of changed) print(changeLine(change, prefix));
      }
      answered = true;
      if (!watch) end.abort();
    },
    scope,
  );
  clearTimeout(timer);
  if (answered || signal?.aborted) return;
  const { lastError } = client.status;
  throw new Error(`etcd did not answer within ${timeout} ms${lastError === null ? '' : `: ${lastError}`}`);
}

function row(key: string, value: Buffer): readonly string[] {
  const { service, name } = split(key);
  try {
    const instance = parseInstance(value);
    return [service, instance.id, describe(instance), String(instance.weight ?? ''), labels(instance)];
  } catch (error) {
    return [service, name, `cannot be used: ${reasonOf(error)}`, '', ''];
  }
}

function changeLine({ key, entry }: KeyChange, prefix: string): string {
  const at = new Date().toISOString();
  const { service, name } = split(key.slice(prefix.length));
  if (entry === undefined) return `${at}  ${service}  ${name}  gone\n`;
  return `${at}  ${row(key.slice(prefix.length), entry.value)
    .filter((cell) => cell !== '')
    .join('  ')}\n`;
}

function split(key: string): { readonly service: string; readonly name: string } {
  const slash = key.lastIndexOf('/');
  const safe = (text: string): string => JSON.stringify(text).slice(1, -1);
  return { service: safe(key.slice(0, Math.max(slash, 0))), name: safe(key.slice(slash + 1)) };
}

function describe({ state, backup }: Instance): string {
  return backup ? `${state}, backup` : state;
}

function labels({ labels: all = {} }: Instance): string {
  return Object.entries(all)
    .map(([label, value]) => `${label}=${value}`)
    .join(' ');
}

function byText(a: readonly string[], b: readonly string[]): number {
  const [left, right] = [a.join('\t'), b.join('\t')];
  return left < right ? -1 : left > right ? 1 : 0;
}
