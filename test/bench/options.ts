import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { numberOption } from '../../common/cli/number-option.ts';
import { UsageError } from '../../common/cli/program.ts';
import { type EtcdVersion, etcdVersions } from '../support/etcd/etcd.ts';
import { orUsage, readToolLine } from '../support/tool-options.ts';

/** The numeric options of `npm run bench`. */
export const benchNumbers = {
  changes: { least: 1, most: 100_000, otherwise: 200 },
  hosts: { least: 1, most: 5_000, otherwise: 200 },
  rate: { least: 1, most: 1_000, otherwise: 20 },
  rest: { least: 1, most: 3_600, fractions: true, otherwise: 60 },
  rounds: { least: 1, most: 10_000, otherwise: 7 },
  proxies: { least: 3, most: 5_000, otherwise: 3 },
  minutes: { least: 0.1, most: 1_440, fractions: true, otherwise: 7 },
} as const;

/** Reads `--servers 10,1000`. @throws {UsageError} naming the option and what is allowed */
export function readServers(text: string): readonly number[] {
  return text.split(',').map((part) => numberOption('servers', part, { least: 1, most: 100_000 }));
}

/** The options of `npm run bench`. */
export interface BenchOptions extends Readonly<Record<keyof typeof benchNumbers, number>> {
  readonly servers: readonly number[];
  /** The `dist` of another checkout; undefined: this one's. */
  readonly dist: string | undefined;
  readonly etcdVersion: EtcdVersion;
  readonly only: string;
  readonly sections: readonly string[];
}

const usage =
  'usage: npm run bench -- [SECTION …] [OPTIONS]; test/bench/main.ts describes the sections and the options\n';

/** Reads the command line of this process; ends it with 2 when it makes no sense. */
export function readBenchOptions(): BenchOptions {
  const texts = { servers: { type: 'string' }, dist: { type: 'string' }, only: { type: 'string' } } as const;
  const { numbers, values, words } = readToolLine({
    usage,
    numbers: benchNumbers,
    options: { ...texts, etcd: { type: 'string' } },
    mostWords: Number.POSITIVE_INFINITY,
  });
  return orUsage(() => {
    const { servers = '10,1000,5000', etcd = '3.5', only = '' } = values;
    const etcdVersion = etcdVersions.find((version) => version === etcd);
    if (etcdVersion === undefined) throw new UsageError(`--etcd ${etcd}: known are ${etcdVersions.join(', ')}`);
    const dist = values.dist === undefined ? undefined : resolve(String(values.dist));
    if (dist !== undefined && !existsSync(dist)) throw new UsageError(`--dist ${dist}: there is no such folder`);
    return {
      ...numbers,
      servers: readServers(String(servers)),
      dist,
      etcdVersion,
      only: String(only),
      sections: words,
    };
  });
}
