import type { HaproxyConfig } from './config.ts';
import { type DesiredService, desiredServers } from './desired.ts';
import type { ExistingFile } from './existing.ts';
import type { RunningBackend, Server, Structure } from './model.ts';
import { orderServers } from './order.ts';
import { renderFile, renderService } from './render.ts';
import { serverOf } from './server.ts';
import { serverLine } from './server-line.ts';

/** What is there already: servers of services that we know nothing about yet stay as they are. */
export interface Present {
  /** Parsed only when it is needed: it may be large. */
  readonly file: () => ExistingFile;
  readonly running: ReadonlyMap<string, RunningBackend>;
}

/** A text for the file, and the shapes of the server lines in it. */
export interface FileText {
  readonly text: string;
  /** Server lines without what we made ourselves: a file whose shapes were all accepted before needs no check. */
  readonly shapes: ReadonlySet<string>;
}

interface ServiceText extends FileText {
  readonly structure: Structure;
  readonly instances: DesiredService['instances'];
  readonly numbering: number;
}

/** Makes the text of the file, remembering each service's until it changes. */
export interface FileWriter {
  /** `which` structures; only servers whose shape `accept` takes, all when not given. */
  text(which: 'wanted' | 'active', generation: string, present: Present, accept?: (shape: string) => boolean): FileText;
}

export function createFileWriter(config: HaproxyConfig, services: ReadonlyMap<string, DesiredService>): FileWriter {
  const cache = new WeakMap<DesiredService, ServiceText>();

  const serviceText = (desired: DesiredService, structure: Structure, present: Present): FileText => {
    if (desired.instances === undefined) return { text: keptText(desired, structure, present), shapes: new Set() };
    const { instances, numbering } = desired;
    const known = cache.get(desired);
    if (known?.structure === structure && known.instances === instances && known.numbering === numbering) return known;
    const made = { ...makeText(desired, structure), structure, instances, numbering };
    cache.set(desired, made);
    return made;
  };

  return {
    text(which, generation, present, accept) {
      const structures: Structure[] = [];
      const texts: string[] = [];
      const shapes = new Set<string>();
      for (const desired of services.values()) {
        const structure = desired[which];
        if (structure === undefined) continue;
        const made =
          accept === undefined || desired.instances === undefined
            ? serviceText(desired, structure, present)
            : makeText(desired, structure, accept);
        structures.push(structure);
        texts.push(made.text);
        for (const shape of made.shapes) shapes.add(shape);
      }
      return { text: renderFile(config, structures, texts, generation), shapes };
    },
  };
}

/** What decides whether HAProxy takes a server's line, apart from names, addresses and numbers, which are ours. */
export function shapeOf(server: Server, structure: Structure): string {
  return `${structure.fingerprint} ${server.options}${server.backup ? ' backup' : ''}`;
}

function makeText(desired: DesiredService, structure: Structure, accept?: (shape: string) => boolean): FileText {
  const servers = [...(desiredServers(desired, structure)?.values() ?? [])];
  // Numbers are given out in discovery order, whatever the order of the lines.
  const ids = new Map(servers.map((server) => [server.name, desired.ids.claim(server.name, server.explicitId)]));
  const shapes = new Set<string>();
  const lines: string[] = [];
  for (const server of orderServers(servers, structure.servers.order)) {
    const { shape, line } = rendered(server, structure, ids.get(server.name));
    if (accept !== undefined && !accept(shape)) continue;
    shapes.add(shape);
    lines.push(line);
  }
  return { text: renderService({ structure, servers: lines }), shapes };
}

interface Rendered {
  readonly id: number | undefined;
  readonly shape: string;
  readonly line: string;
}

/** One changed server costs one new line, however many others there are. */
const renderedServers = new WeakMap<Server, Rendered>();

function rendered(server: Server, structure: Structure, id: number | undefined): Rendered {
  let known = renderedServers.get(server);
  if (known === undefined || known.id !== id) {
    known = { id, shape: shapeOf(server, structure), line: serverLine(server, id) };
    renderedServers.set(server, known);
  }
  return known;
}

/** The lines that are there, and the servers that were added at run time since. */
function keptText(desired: DesiredService, structure: Structure, present: Present): string {
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
  return renderService({ structure, servers: kept });
}
