import { type Capabilities, droppableKeywords, fileOnlyKeywords } from './capabilities.ts';
import { squeeze, stripWeight } from './server.ts';
import { formatOptions, parseOptions } from './server-options.ts';
import type { Server, ServerTemplate } from './types.ts';

/** Idle connections to a server added on HAProxy before 3.0 are reused only with these (commit 8a31783b6). */
const poolOptions = [
  ['pool-max-conn', '-1'],
  ['pool-purge-delay', '5s'],
] as const;

/**
 * The words after a server's name and address: for its line in the file, or with `runtime` for `add server` on a HAProxy of
 * these capabilities. One function, so that both make the same server.
 */
export function serverWords(
  server: Server,
  id: number | undefined,
  runtime?: { readonly template: ServerTemplate; readonly capabilities: Capabilities },
): string {
  const drained = server.state !== 'ready';
  let { options } = server;
  // A drain is written as weight 0, the only form the file has: no new connections, persistence goes on.
  const weight = drained && runtime === undefined ? 0 : server.weighted ? server.weight : undefined;
  if (weight !== undefined) options = squeeze(stripWeight(options));
  const words = [
    ...(id === undefined ? [] : [`id ${id}`]),
    ...(server.cookie === undefined ? [] : [`cookie ${server.cookie}`]),
    ...(weight !== undefined && options === '' ? [] : [options]),
    ...(weight === undefined ? [] : [`weight ${weight}`]),
    ...(server.backup ? ['backup'] : []),
    ...(server.state === 'closed' && runtime === undefined ? ['disabled'] : []),
  ].join(' ');
  return runtime === undefined ? words : runtimeWords(words, runtime.template, runtime.capabilities);
}

/** The line of the file, without indentation. */
export function serverLine(server: Server, id: number | undefined): string {
  return `server ${server.name} ${server.address} ${serverWords(server, id)}`;
}

/** Why this server cannot be added at run time; undefined when it can be. */
export function addObstacle(server: Server, template: ServerTemplate, capabilities: Capabilities): string | undefined {
  if (!capabilities.addServer) return 'this HAProxy cannot add servers';
  if (server.named) return 'its host is a name, which HAProxy only resolves when it loads its file';
  const words = [...template.inherited, server.options].join(' ');
  if (/["'\\#;$<]/.test(words)) return 'its options have quotes or escapes';
  const fileOnly = parseOptions(words).find(({ keyword }) => fileOnlyKeywords.has(keyword));
  return fileOnly && `its option '${fileOnly.keyword}' only works in the file`;
}

/** True when a server that is added at run time lacks its cookie until a reload. */
export function isIncomplete(template: ServerTemplate, capabilities: Capabilities): boolean {
  return template.persistence && template.cookie !== 'none' && !capabilities.dynamicCookie;
}

/** True when HAProxy is to check this server: the check has to be switched on after the server was added. */
export function hasCheck(server: Server, template: ServerTemplate, keyword: 'check' | 'agent-check'): boolean {
  let checked = false;
  for (const option of parseOptions([...template.inherited, server.options].join(' '))) {
    if (option.keyword === keyword) checked = true;
    else if (option.keyword === `no-${keyword}`) checked = false;
  }
  return checked;
}

function runtimeWords(words: string, template: ServerTemplate, capabilities: Capabilities): string {
  const options = parseOptions([...template.inherited, words].join(' ')).filter(
    ({ keyword }) =>
      !droppableKeywords.has(keyword) && (keyword !== 'cookie' || (capabilities.dynamicCookie && template.persistence)),
  );
  if (capabilities.poolOptions) {
    for (const [keyword, value] of poolOptions) {
      if (!options.some((option) => option.keyword === keyword)) options.push({ keyword, values: [value] });
    }
  }
  return formatOptions(options);
}
