/** The options of the source `etcd` that say below which folder it reads. */
export interface EtcdFolderOptions {
  /** As {@link readEtcdPath} reads it; default `/nerve/services/<service>`. */
  readonly path?: string | undefined;
  /** False: the keys begin without a slash. Default true. */
  readonly leading_slash?: boolean | undefined;
}

/** The folder of a service's keys in etcd, without a slash at its end. */
export function etcdFolder({ path, leading_slash = true }: EtcdFolderOptions, service: string): string {
  const folder = path ?? `/nerve/services/${service}`;
  return leading_slash ? folder : folder.slice(1);
}

/** Reads a path: one slash at the start and none at the end, because a whole segment has to follow it. @throws saying what is allowed */
export function readEtcdPath(value: unknown): string {
  const path = typeof value === 'string' ? `/${value.replace(/^\/+|\/+$/g, '')}` : '';
  if (path.length < 2 || path.length > 1024) throw new Error('must be a path in etcd, such as /nerve/services/api');
  return path;
}
