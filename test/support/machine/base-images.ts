import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exec } from '../../../common/daemon/exec.ts';
import { must } from '../../../deploy/tools/debian/apt.ts';
import { unpackPackages } from '../../../deploy/tools/debian/programs.ts';
import { patienceMs } from '../eventually.ts';
import { root } from '../repository.ts';
import type { DockerEngine } from './docker-engine.ts';
import { importBusybox, importImage } from './docker-images.ts';
import { nodePackages } from './node-packages.ts';

/** What Debian's own slim image has, as far as our Dockerfiles and scripts use it. */
const base = [
  ...(['base-files', 'base-passwd', 'bash', 'coreutils', 'dash', 'debianutils', 'findutils', 'grep'] as const),
  ...['hostname', 'libc-bin', 'libstdc++6', 'passwd', 'perl-base', 'sed', 'tar', 'util-linux'],
] as const;

/**
 * Makes the images that our Dockerfile and docker-compose.yml start from, under their own names, where no registry can be
 * reached: from Debian's packages and from Node's in npm, laid out as the official ones are.
 */
export async function makeStandIns(engine: DockerEngine): Promise<void> {
  const dockerfile = await readFile(join(root, 'deploy/Dockerfile'), 'utf8');
  const compose = await readFile(join(root, 'deploy/docker-compose.yml'), 'utf8');
  const argument = (name: string): string => found(new RegExp(`^ARG ${name}=(\\S+)$`, 'm').exec(dockerfile)?.[1], name);
  const used = (name: string): string => found(new RegExp(`image: (${name}:\\S+)`).exec(compose)?.[1], name);
  const [debian, node, haproxy] = ['DEBIAN_IMAGE', 'NODE_IMAGE', 'HAPROXY_IMAGE'].map(argument) as [
    string,
    string,
    string,
  ];

  const build = (name: string, context: string, lines: readonly string[], options: readonly string[] = []) =>
    engine.docker(
      ['build', '--quiet', '--tag', name, ...options, ...(context === '-' ? [] : ['--file', '-']), context],
      { input: lines.join('\n') },
    );

  await importImage(engine, 'unpacked', { folder: await unpackPackages('trixie', base, { at: '/' }) });
  // What the scripts of base-passwd and base-files would do.
  const files = ['passwd', 'group'].map((file) => `cp /usr/share/base-passwd/${file}.master /etc/${file}`);
  await build(debian, '-', [
    'FROM unpacked',
    `RUN ${files.join(' && ')} && mkdir -p /usr/local/bin /usr/local/sbin /usr/local/lib /usr/local/share`,
    'CMD ["bash"]',
  ]);
  const registry = must(
    await exec(['npm', 'config', 'get', 'registry'], { timeoutMs: patienceMs }),
    'npm',
  ).stdout.trim();
  await build(
    node,
    await nodePackages(),
    [
      `FROM ${debian}`,
      'COPY --from=certificates ca-certificates.crt /etc/ssl/certs/',
      'COPY node/bin/node /usr/local/bin/',
      'COPY npm /usr/local/lib/node_modules/npm',
      'RUN for name in npm npx; do ln -s ../lib/node_modules/npm/bin/$name-cli.js /usr/local/bin/$name; done',
      `ENV npm_config_registry=${registry} NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt`,
    ],
    ['--build-context', 'certificates=/etc/ssl/certs'],
  );
  await build(haproxy, await unpackPackages('sid', ['haproxy'], { at: '/opt/haproxy' }), [
    `FROM ${debian}`,
    'COPY usr/ /opt/haproxy/usr/',
    'RUN ln -s /opt/haproxy/usr/sbin/haproxy /usr/local/sbin/haproxy && groupadd --gid 99 --system haproxy && ' +
      'useradd --gid haproxy --home-dir /var/lib/haproxy --create-home --system --uid 99 haproxy',
    'STOPSIGNAL SIGUSR1',
    'USER haproxy',
    'WORKDIR /var/lib/haproxy',
  ]);
  await build(
    used('quay.io/coreos/etcd'),
    await unpackPackages('sid', ['etcd-server', 'etcd-client'], { at: '/opt/etcd' }),
    ['FROM scratch', 'COPY usr/ /opt/etcd/usr/', 'COPY usr/bin/etcd usr/bin/etcdctl /usr/local/bin/'],
  );
  await engine.docker(['tag', await importBusybox(engine), used('busybox')]);
}

function found(value: string | undefined, name: string): string {
  if (value === undefined) throw new Error(`deploy/ does not say ${name} where it is looked for`);
  return value;
}
