import type { HaproxyConfig } from '../options/config.ts';
import { type DesiredService, desiredServers } from '../spec/desired-service.ts';
import type { ParsedConfig } from '../spec/parse-config.ts';
import { orderServers, serverOf } from '../spec/server.ts';
import { serverLine } from '../spec/server-line.ts';
import type { BackendSpec, RunningBackend, Server } from '../spec/types.ts';
import { renderAround, renderService } from './render.ts';

/** What is there already: servers of services that we know nothing about yet stay as they are. */
export interface Present {
  /** Parsed only when it is needed: it may be large. */
  readonly file: () => ParsedConfig;
  readonly running: ReadonlyMap<string, RunningBackend>;
}

/** A text for the file, and the shapes of the server lines in it. */
export interface FileText {
  readonly text: string;
  /** Server lines without what we made ourselves: a file whose shapes were all accepted before needs no check. */
  readonly shapes: ReadonlySet<string>;
  /** What a line (counted from 1) is about; undefined for one that belongs to no service. */
  locate(line: number): Located | undefined;
}

/** Whose line it is. */
export interface Located {
  readonly service: string;
  /** The server's shape, for a line of a server. */
  readonly shape: string | undefined;
}

interface ServiceText {
  readonly text: string;
  readonly shapes: ReadonlySet<string>;
  readonly structure: BackendSpec;
  readonly instances: DesiredService['instances'];
  readonly numbering: number;
}

/** What goes into a text. */
export interface TextChoice {
  /** The structure that a service has in it; undefined: none. */
  readonly structureOf: (desired: DesiredService) => BackendSpec | undefined;
  /** Only servers whose shape this takes get a line of ours; all when not given. */
  readonly accept?: ((shape: string) => boolean) | undefined;
  /** The servers of these structures keep the lines that the file has. */
  readonly isRecovered?: (structure: BackendSpec) => boolean;
}

/** Makes the text of the file, remembering each service's until it changes. */
export interface FileWriter {
  text(which: 'wanted' | TextChoice, generation: string, present: Present): FileText;
}

export function createFileWriter(config: HaproxyConfig, services: ReadonlyMap<string, DesiredService>): FileWriter {
  const cache = new WeakMap<DesiredService, ServiceText>();

  const serviceText = (desired: DesiredService, structure: BackendSpec, present: Present, choice: TextChoice) => {
    const { accept, isRecovered } = choice;
    if (desired.instances === undefined)
      return { text: keptText(config, desired, structure, present), shapes: nothing };
    if (isRecovered?.(structure)) return { text: recoveredText(config, desired, structure, present), shapes: nothing };
    const { instances, numbering } = desired;
    const known = cache.get(desired);
    const fresh = known?.structure !== structure || known.instances !== instances || known.numbering !== numbering;
    const all = fresh ? { ...makeText(config, desired, structure), structure, instances, numbering } : known;
    if (fresh) cache.set(desired, all);
    const complete = accept === undefined || [...all.shapes].every(accept);
    return complete
      ? all
      : makeText(config, desired, structure, (server, shape) =>
          accept(shape) ? undefined : keptLine(server, structure, present),
        );
  };

  return {
    text(which, generation, present) {
      const choice: TextChoice = which === 'wanted' ? { structureOf: ({ wanted }) => wanted } : which;
      const structures: BackendSpec[] = [];
      const owners: DesiredService[] = [];
      const texts: string[] = [];
      const shapes = new Set<string>();
      for (const desired of services.values()) {
        const structure = choice.structureOf(desired);
        if (structure === undefined) continue;
        const made = serviceText(desired, structure, present, choice);
        structures.push(structure);
        owners.push(desired);
        texts.push(made.text);
        for (const shape of made.shapes) shapes.add(shape);
      }
      const { head, tail } = renderAround(config, structures, generation);
      return {
        text: [head, ...texts, tail].join(''),
        shapes,
        locate(line) {
          let first = 1 + breaksIn(head);
          for (const [index, text] of texts.entries()) {
            const end = first + breaksIn(text);
            if (line < first) return undefined;
            if (line < end) {
              const [desired, structure] = [owners[index] as DesiredService, structures[index] as BackendSpec];
              const name = /^\s*server\s+(\S+)/.exec(text.split('\n')[line - first] ?? '')?.[1] ?? '';
              const server = desiredServers(desired, structure)?.get(name);
              return { service: desired.service, shape: server && shapeOf(server, structure) };
            }
            first = end;
          }
          return undefined;
        },
      };
    },
  };
}

const nothing: ReadonlySet<string> = new Set();

function breaksIn(text: string): number {
  return text.split('\n').length - 1;
}

/** What decides whether HAProxy takes a server's line, apart from names, addresses and numbers, which are ours. */
export function shapeOf(server: Server, structure: BackendSpec): string {
  return `${structure.fingerprint} ${server.options}${server.backup ? ' backup' : ''}`;
}

/** `instead`: another line for a server, null for none, undefined for its own. */
function makeText(
  config: HaproxyConfig,
  desired: DesiredService,
  structure: BackendSpec,
  instead?: (server: Server, shape: string) => string | null | undefined,
): Pick<FileText, 'text' | 'shapes'> {
  const servers = [...(desiredServers(desired, structure)?.values() ?? [])];
  // Numbers are given out in discovery order, whatever the order of the lines.
  const ids = new Map(servers.map((server) => [server.name, desired.ids.claim(server.name, server.explicitId)]));
  const shapes = new Set<string>();
  const lines: string[] = [];
  for (const server of orderServers(servers, structure.servers.order)) {
    const { shape, line } = rendered(server, structure, ids.get(server.name));
    const other = instead?.(server, shape);
    if (other === undefined) shapes.add(shape);
    if (other !== null) lines.push(other ?? line);
  }
  return { text: flat(renderService(config, { structure, servers: lines })), shapes };
}

/** The same text in one piece: V8 keeps what was put together as a tree, which each join of all services would walk again. */
function flat(text: string): string {
  return Buffer.from(text).toString();
}

/** The line that the file has for this server already; null when it has none. */
function keptLine(server: Server, structure: BackendSpec, present: Present): string | null {
  const known = present.file().backends.get(structure.backend)?.get(server.name);
  return known !== undefined && known.address === server.address ? known.line : null;
}

/** A service whose new options are refused: its servers keep their lines, new ones are only added at run time. */
function recoveredText(
  config: HaproxyConfig,
  desired: DesiredService,
  structure: BackendSpec,
  present: Present,
): string {
  return makeText(config, desired, structure, (server) => keptLine(server, structure, present)).text;
}

interface Rendered {
  readonly id: number | undefined;
  readonly shape: string;
  readonly line: string;
}

/** One changed server costs one new line, however many others there are. */
const renderedServers = new WeakMap<Server, Rendered>();

function rendered(server: Server, structure: BackendSpec, id: number | undefined): Rendered {
  let known = renderedServers.get(server);
  if (known === undefined || known.id !== id) {
    known = { id, shape: shapeOf(server, structure), line: serverLine(server, id) };
    renderedServers.set(server, known);
  }
  return known;
}

/** The lines that are there, and the servers that were added at run time since. */
function keptText(config: HaproxyConfig, desired: DesiredService, structure: BackendSpec, present: Present): string {
  const lines = present.file().backends.get(structure.backend);
  const kept = [...(lines?.values() ?? [])].filter(({ name }) => !structure.fixed.has(name)).map(({ line }) => line);
  for (const { name, address, id, maintenance, drained } of present.running.get(structure.backend)?.values() ?? []) {
    if (lines?.has(name) || structure.fixed.has(name) || maintenance) continue;
    const colon = address.lastIndexOf(':');
    const instance = {
      id: name,
      name: '',
      host: address.slice(0, colon),
      port: Number(address.slice(colon + 1)),
      state: drained ? 'drain' : 'up',
      backup: false,
    } as const;
    kept.push(serverLine(serverOf(instance, structure.servers), desired.ids.claim(name, id)));
  }
  return renderService(config, { structure, servers: kept });
}
