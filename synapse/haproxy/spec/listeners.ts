import { isIP } from 'node:net';
import type { Listener } from '../../output.ts';
import type { HaproxyConfig } from '../options/config.ts';
import type { ServiceHaproxyConfig } from '../options/service-config.ts';

/** What the top-level section has HAProxy listen on: its own sections, the sockets of `global`, and the ports of `reload_free_services`. */
export function topListeners(config: HaproxyConfig): readonly Listener[] {
  const { global, shared_frontend, extra_sections, reload_free_services: pool, bind_address, template } = config;
  return [
    ...global.flatMap((line) => listenersIn(/^\s*stats\s+socket\s+(\S+)/, line, "HAProxy's runtime API")),
    ...bindsIn(shared_frontend ?? [], 'the shared frontend'),
    ...Object.entries(extra_sections).flatMap(([title, lines]) => [
      // HAProxy accepted addresses in the titles of listen and frontend sections up to 1.5, and synapse may rewrite them.
      ...listenersIn(/^\s*(?:listen|frontend)\s+\S+\s+(\S+)/, title, `section ${title.trim()}`),
      ...bindsIn(lines, `section ${title.trim()}`),
      ...lines.flatMap((line) => listenersIn(/^\s*peer\s+\S+\s+(\S+)/, line, `section ${title.trim()}`)),
    ]),
    ...(pool === null
      ? []
      : [
          ...addressListeners(`${bind_address}:${pool.ports.join('-')}`, 'reload_free_services'),
          ...bindsIn([...pool.frontend, ...pool.listen], 'reload_free_services'),
        ]),
    ...(template === undefined
      ? []
      : bindsIn(
          [template.head, template.service, template.tail].join('\n').split('\n'),
          'the template of haproxy.cfg',
        )),
  ];
}

/** What the frontend of a service listens on. */
export function serviceListeners(
  service: string,
  config: ServiceHaproxyConfig | undefined,
  global: HaproxyConfig,
): readonly Listener[] {
  if (config === undefined || config.disabled || config.port === false) return [];
  const what = `the frontend of ${service}`;
  const address = config.bind_address ?? global.bind_address;
  return [
    ...(config.port === null ? addressListeners(address, what) : addressListeners(`${address}:${config.port}`, what)),
    ...bindsIn([...config.frontend, ...config.listen], what),
  ];
}

function bindsIn(lines: readonly string[], what: string): readonly Listener[] {
  return lines.flatMap((line) => listenersIn(/^\s*bind\s+(\S+)/, line, what));
}

function listenersIn(pattern: RegExp, line: string, what: string): readonly Listener[] {
  const address = pattern.exec(line)?.[1];
  return address === undefined ? [] : addressListeners(address, what);
}

/**
 * The listeners of an address as HAProxy reads it (configuration manual, section 11.1, and `bind`): several with commas, port
 * ranges, `*` and nothing for all addresses. Empty for unix sockets and the like, and for variables, which synapse does not know.
 */
export function addressListeners(text: string, what: string): readonly Listener[] {
  return text.split(',').flatMap((part): readonly Listener[] => {
    const address = part.replace(/^(?:ipv4|ipv6|tcp|tcp4|tcp6|mptcp|mptcp4|mptcp6)@/, '');
    const [, given = '', first = '', last = first] = /^(.*):([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(address) ?? [];
    if (first === '' || /[@/$"']/.test(address)) return [];
    const ports = { firstPort: Number(first), lastPort: Number(last), what };
    const host = given.replace(/^\[(.*)\]$/, '$1');
    if (host.toLowerCase() === 'localhost') return ['127.0.0.1', '::1'].map((one) => ({ host: one, ...ports }));
    // HAProxy resolves other names when it starts: which address that gives is not known here.
    const isAny = host === '0.0.0.0' || host === '::' || isIP(host) === 0;
    return [{ host: isAny ? 'any' : host, ...ports }];
  });
}
