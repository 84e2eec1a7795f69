import { joinPath } from '../../../common/config/config.ts';
import type { HaproxyConfig } from '../options/config.ts';
import type { ServiceHaproxyConfig } from '../options/service-config.ts';
import { addedLines } from './build-backend.ts';
import { withoutComment } from './config-lines.ts';
import { modernize, rewriteSections } from './legacy-directives.ts';
import { frontendLines, placeOf } from './listen-lines.ts';

/** A line of haproxy.cfg, as far as its origin depends on it. */
export interface PlacedLine {
  /** Without indentation and comment. */
  readonly text: string;
  /** The line that opens its section. */
  readonly title: string;
}

/** A service whose lines are looked for. */
export interface LineService {
  readonly name: string;
  /** Its section in synapse's own configuration. */
  readonly local: ServiceHaproxyConfig;
  /** HAProxy's message about the line, which tells apart the options that a bind line is made of. */
  readonly said?: string;
}

/** Where the common frontend of `reload_free_services` stands. */
const poolTitle = 'frontend reload-free-services';

/**
 * The key of synapse's configuration that a line of a service's frontend or backend was made from, such as
 * `services.api.haproxy.listen[1]`; undefined when it is not in this section.
 */
export function serviceLineKey(
  { text, title }: PlacedLine,
  { name, local, said = '' }: LineService,
  config: HaproxyConfig,
): string | undefined {
  const section = joinPath(joinPath('services', name), 'haproxy');
  const own = /^backend\b/.test(title) ? 'backend' : 'frontend';
  const listKey =
    keyIn(joinPath(section, own), local[own], text) ?? listenKey(joinPath(section, 'listen'), text, { name, local });
  if (listKey !== undefined) return listKey;
  if (/^frontend\b/.test(title) && /^bind\s/.test(text)) return bindKey(text, section, { local, config, said });
  if (/^default_backend\s/.test(text) || text === title) {
    return local.backend_name === null ? joinPath('services', name) : joinPath(section, 'backend_name');
  }
  return undefined;
}

/** The key of a line outside of the services, such as `haproxy.global[2]`; undefined for lines that synapse adds itself. */
export function commonLineKey(
  { text, title }: PlacedLine,
  config: HaproxyConfig,
  services: Iterable<LineService>,
): string | undefined {
  const top = (key: string): string => joinPath('haproxy', key);
  const listKey = (key: string, lines: readonly string[]): string | undefined => keyIn(top(key), lines, text);
  if (title === 'frontend shared-frontend') {
    const own = listKey('shared_frontend', config.shared_frontend ?? []);
    if (own !== undefined) return own;
    for (const { name, local } of services) {
      const list = joinPath(joinPath(joinPath('services', name), 'haproxy'), 'shared_frontend');
      const key = keyIn(list, local.shared_frontend, text);
      if (key !== undefined) return key;
    }
  }
  const pool = config.reload_free_services;
  if (title === poolTitle && pool !== null) {
    const at = top('reload_free_services');
    return (
      keyIn(joinPath(at, 'frontend'), pool.frontend, text) ??
      keyIn(joinPath(at, 'listen'), pool.listen, text) ??
      joinPath(at, 'ports')
    );
  }
  const extra = extraSectionKey({ text, title }, config.extra_sections);
  if (extra !== undefined) return extra;
  // Lists may have lines that open other sections.
  const own = listKey('global', config.global) ?? listKey('defaults', config.defaults);
  if (own !== undefined) return own;
  const isAdded = [...addedLines(config).global, ...addedLines(config).defaults].includes(text);
  if (isAdded) return /^stats\s+socket\s/.test(text) ? top('socket_file_path') : undefined;
  return config.template === undefined ? undefined : top('template_path');
}

/** A line of `listen`; in the frontend, rules have the name of the table in the backend. */
function listenKey(path: string, text: string, service: LineService): string | undefined {
  const { listen, backend_name } = service.local;
  const plain = keyIn(path, listen, text);
  if (plain !== undefined) return plain;
  const inFrontend = listen.map((_, index) => index).filter((index) => placeOf(listen[index] ?? '') !== 'backend');
  const made = frontendLines(listen, backend_name ?? service.name).findIndex((line) => makes(line, text));
  const index = inFrontend[made];
  return index === undefined ? undefined : joinPath(path, index);
}

function extraSectionKey({ text, title }: PlacedLine, sections: HaproxyConfig['extra_sections']): string | undefined {
  for (const [own, lines] of Object.entries(sections)) {
    // A title that opens no section, because it is misspelt.
    if (own.trim() === text) return joinPath(joinPath('haproxy', 'extra_sections'), own.trim());
    const [rewritten] = rewriteSections({ [own]: lines }).sections;
    if (rewritten?.title.trim() !== title && own.trim() !== title) continue;
    const at = joinPath(joinPath('haproxy', 'extra_sections'), own.trim());
    const key = keyIn(at, lines, text);
    if (key !== undefined) return key;
    // Its title, or the bind line that an old title is written as.
    if (text === title || rewritten?.lines.includes(text) === true) return at;
  }
  return undefined;
}

function bindKey(
  text: string,
  section: string,
  { local, config, said }: Pick<Required<LineService>, 'local' | 'said'> & { readonly config: HaproxyConfig },
): string | undefined {
  const address = local.bind_address ?? config.bind_address;
  const target = local.port === null ? address : `${address}:${local.port}`;
  if (/^bind\s+(\S+)/.exec(text)?.[1] !== target) return undefined;
  const isAddress = /invalid address|missing port|port range|could not resolve/i.test(said);
  if (said !== '' && !isAddress && local.bind_options !== null) return joinPath(section, 'bind_options');
  if (local.port !== null && !(isAddress && local.bind_address !== null)) return joinPath(section, 'port');
  return local.bind_address === null ? joinPath('haproxy', 'bind_address') : joinPath(section, 'bind_address');
}

function keyIn(path: string, lines: readonly string[], text: string): string | undefined {
  const index = lines.findIndex((line) => makes(line, text));
  return index < 0 ? undefined : joinPath(path, index);
}

/** True when this line of the configuration becomes that line of the file. */
function makes(line: string, text: string): boolean {
  const wanted = withoutComment(line.trim());
  if (wanted === text) return true;
  return modernize([wanted]).lines.some((each) => each.trim() === text);
}
