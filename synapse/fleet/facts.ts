import type { RequestRecord } from '../../common/fleet/records.ts';
import type { Instance } from '../../common/instance.ts';
import type { CatalogEntry } from '../catalog/catalog-entry.ts';
import { noBackend } from '../haproxy/evidence.ts';
import type { RunningHaproxy } from '../haproxy/haproxy.ts';
import { type ServerAt, serverKey } from '../haproxy/runtime/read-servers.ts';
import type { EtcdPlace, InstanceSet } from '../source.ts';
import { namesOf, namesOfKey } from './instance-names.ts';
import type { ServiceFacts } from './judge.ts';

/** What the fleet sees of a synapse. */
export interface FleetView {
  /** The services of the configuration. */
  services(): Iterable<string>;
  /** The folders of keys that the source of a service follows. */
  places(service: string): readonly EtcdPlace[];
  entry(service: string): CatalogEntry | undefined;
  /** Everything that is known of the service was given to HAProxy, and HAProxy has answered. */
  isApplied(service: string): boolean;
  /** Why not all services are applied; null when they are. */
  unapplied(): string | null;
  readonly hasFileOutput: boolean;
  /** Undefined before HAProxy's output runs. */
  readonly haproxy:
    | Pick<RunningHaproxy, 'find' | 'prove' | 'fileWritten' | 'unapplied' | 'closeDrained' | 'stickyDrainMs'>
    | undefined;
}

/** A request about an instance. */
export type InstanceRequest = RequestRecord & { readonly kind: 'instance' };

/** What to ask the fleet about one service. */
export interface ServiceQuestions {
  readonly service: string;
  readonly path: string;
  /** The instances that are announced as up. */
  readonly instances: readonly { readonly id: string; readonly key: string }[];
}

/** What is known before HAProxy is read. */
export interface Prepared {
  readonly services: readonly ServiceFacts[];
  /** The servers to read. */
  readonly servers: readonly ServerAt[];
}

/** The folders of a cluster that the services of a synapse follow; with `now`, without those that are not followed now. */
export function pathsIn(view: FleetView, cluster: string, { now = false } = {}): readonly string[] {
  return [...view.services()].flatMap((service) =>
    view
      .places(service)
      .filter((place) => place.cluster === cluster && !(now && place.isIdle))
      .map(({ path }) => path),
  );
}

/** The services whose sources follow the key of an instance. */
export function servicesOf(view: FleetView, { key }: InstanceRequest, cluster: string): readonly string[] {
  return [...view.services()].filter((service) => placesOf(view, service, { key, cluster }).length > 0);
}

function placesOf(
  view: FleetView,
  service: string,
  { key, cluster }: { readonly key: string; readonly cluster: string },
): readonly EtcdPlace[] {
  return view.places(service).filter((place) => place.cluster === cluster && key.startsWith(`${place.path}/`));
}

/** Finds the servers of an instance in the services that follow its key. */
export function prepare(
  view: FleetView,
  { key }: InstanceRequest,
  { cluster, following }: { readonly cluster: string; readonly following: readonly string[] },
): Prepared {
  const services: ServiceFacts[] = [];
  const servers = new Map<string, ServerAt>();
  const add = (server: ServerAt): void => void servers.set(serverKey(server), server);
  for (const service of following) {
    const entry = view.entry(service);
    const instance = recordIn(entry?.raw, key);
    const { portOverride } = entry?.service.policy ?? {};
    const names = instance === undefined ? namesOfKey(key, portOverride) : namesOf(instance, portOverride);
    const found = view.haproxy?.find(service, names);
    for (const { name } of found?.servers ?? []) add({ backend: found?.backend ?? noBackend, name });
    // A worker on its way out may still have it.
    if ('exact' in names) add({ backend: found?.backend ?? noBackend, name: names.exact });
    // Where another source is in force, the record may be there, and is not used.
    const isUnused = placesOf(view, service, { key, cluster }).every((place) => place.isUnused);
    const hasRecord = isUnused || (instance !== undefined && instance.state !== 'down');
    services.push({ service, hasRecord, found, reason: whyUnknown(view, service, entry) });
  }
  const alone = following.length === 0 ? namesOfKey(key, undefined) : undefined;
  if (alone !== undefined && 'exact' in alone) add({ backend: noBackend, name: alone.exact });
  return { services, servers: [...servers.values()] };
}

/** The instances of a service that are announced below a path of this cluster, and are to get traffic. */
export function instancesUp(view: FleetView, service: string, cluster: string): ServiceQuestions {
  const path = view.places(service).find((place) => place.cluster === cluster)?.path ?? '';
  const { instances = [], origins = [] } = view.entry(service)?.raw ?? {};
  const up = instances.flatMap(({ id, state, weight }, index) => {
    const key = origins[index]?.key;
    return state === 'up' && weight !== 0 && key?.startsWith(`${path}/`) ? [{ id, key }] : [];
  });
  return { service, path, instances: up };
}

function whyUnknown(view: FleetView, service: string, entry: CatalogEntry | undefined): string | null {
  if (entry?.raw === undefined) return 'its source has not answered yet';
  return view.isApplied(service) ? null : 'its newest instances have not been applied yet';
}

const indexes = new WeakMap<InstanceSet, ReadonlyMap<string, Instance>>();

/** The instance of a record, as its source found it; undefined when there is no such record, or it cannot be used. */
function recordIn(set: InstanceSet | undefined, key: string): Instance | undefined {
  if (set?.origins === undefined) return undefined;
  let index = indexes.get(set);
  if (index === undefined) {
    const byKey = new Map<string, Instance>();
    for (const [at, instance] of set.instances.entries()) {
      const origin = set.origins[at];
      if (origin !== undefined) byKey.set(origin.key, instance);
    }
    index = byKey;
    indexes.set(set, index);
  }
  return index.get(key);
}
