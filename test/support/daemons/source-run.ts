import { type Problem, validate } from '../../../common/config/config.ts';
import { createEtcdClient } from '../../../common/etcd/client/client.ts';
import type { Instance } from '../../../common/instance.ts';
import { loadPlugin } from '../../../common/plugin.ts';
import { Shared } from '../../../synapse/discovery/shared.ts';
import { type InstanceSet, type Source, type SourcePlugin, sourceFolder } from '../../../synapse/source.ts';
import { type LogLine, recordingLog } from '../process/recording-log.ts';

/** A source that runs as in synapse, without synapse. */
export interface SourceRun {
  /** Everything it published, oldest first. */
  readonly sets: readonly InstanceSet[];
  readonly lines: readonly LogLine[];
  /** The instances that are gone, and whether they were withdrawn or expired. */
  readonly gone: readonly (readonly [id: string, how: string])[];
  readonly source: Source;
  /** Settles when the source does. */
  readonly done: Promise<void>;
  stop(): Promise<void>;
  /** The ids of the last set; those of backups end with `backup`. */
  ids(): readonly string[];
}

/** Reads options as from a configuration. @throws with all problems */
export async function makeSource(method: string, given: unknown, shared = new Shared()) {
  const plugin = await loadPlugin<SourcePlugin<unknown>>(sourceFolder, method);
  const problems: Problem[] = [];
  const options = validate(plugin.schema, given, { path: 'discovery', problems });
  if (problems.length > 0) throw new Error(problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
  const user = {};
  const { log, lines } = recordingLog();
  const gone: (readonly [id: string, how: string])[] = [];
  const source = plugin.create(options, {
    service: 'api',
    log,
    etcd: { hosts: ['http://127.0.0.1:9'] },
    openEtcd: createEtcdClient,
    dropped: (record) => log.warn('fields of a record cannot be used, the rest is used', { ...record }),
    rejected: (record) => log.warn('a record cannot be used, skipped', { ...record }),
    gone: (id, how) => gone.push([id, how]),
    shared: (key, make) => shared.get(user, key, (signal) => make(signal, log)),
  });
  return { source, lines, gone, release: () => shared.release(user) };
}

/** Runs a source with these options. Sources with the same `shared` share connections and polls. */
export async function runSource(method: string, options: unknown, shared = new Shared()): Promise<SourceRun> {
  return startSource(await makeSource(method, options, shared));
}

/** Runs a source that was made before, so that a test can start several at once. */
export function startSource({ source, lines, gone, release }: Awaited<ReturnType<typeof makeSource>>): SourceRun {
  const end = new AbortController();
  const sets: InstanceSet[] = [];
  const done = source((set) => sets.push(set), end.signal).finally(release);
  // A test may await the failure, but need not.
  done.catch(() => {});
  return {
    sets,
    lines,
    gone,
    source,
    done,
    stop() {
      end.abort();
      return done;
    },
    ids: () => (sets.at(-1)?.instances ?? []).map(shortId),
  };
}

function shortId({ id, backup }: Instance): string {
  return backup ? `${id} backup` : id;
}
