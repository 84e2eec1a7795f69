import { ownText } from '../../../common/own-text.ts';
import type { OutputInstance } from '../../output.ts';
import type { HaproxyConfig } from '../options/config.ts';
import { type DesiredService, desiredServers } from '../spec/desired-service.ts';
import type { ParsedConfig, ParsedServer } from '../spec/parse-config.ts';
import { isNamed, orderServers, serverOf } from '../spec/server.ts';
import { serverLine } from '../spec/server-line.ts';
import type { BackendSpec, RunningBackend, RunningServer, Server } from '../spec/types.ts';
import { renderAround, renderService } from './render.ts';

/** The servers that HAProxy has already. Services whose instances are not known yet keep them. */
export interface Present {
  /** Parsed when it is needed: it may be large. */
  readonly file: () => ParsedConfig;
  readonly running: ReadonlyMap<string, RunningBackend>;
}

/** A text for the file, and the shapes of the server lines in it. */
export interface ConfigText {
  readonly text: string;
  /** See {@link shapeOf}. A text needs no check when a check has accepted all its shapes before. */
  readonly shapes: ReadonlySet<string>;
  /** What a line (counted from 1) is about; undefined for a line that belongs to no service. */
  locate(line: number): LineOwner | undefined;
}

/** The service that a line belongs to. */
export interface LineOwner {
  readonly service: string;
  /** The server's shape, for the line of a server. */
  readonly shape: string | undefined;
  /** The server of that line, unless the configuration names it itself. */
  readonly server?: Server | undefined;
}

/** What goes into a text. */
export interface TextSelection {
  /** The spec that a service has in the text; undefined: the service is not in it. */
  readonly specOf: (desired: DesiredService) => BackendSpec | undefined;
  /** Servers of other shapes keep the line that the file has, or get none; undefined: all shapes are accepted. */
  readonly accept?: ((shape: string) => boolean) | undefined;
  /** True for specs whose servers keep the lines that the file has. */
  readonly isRecovered?: (spec: BackendSpec) => boolean;
}

/** Everything that is wanted. */
export const selectWanted: TextSelection = { specOf: ({ wanted }) => wanted };

/** The text of one service. */
interface ServiceText {
  readonly text: string;
  readonly shapes: ReadonlySet<string>;
}

/** What a {@link ServiceText} was made of. */
interface CachedText extends ServiceText {
  readonly spec: BackendSpec;
  readonly instances: DesiredService['instances'];
  readonly numbering: number;
}

/** Another line for a server than its own; null: no line; undefined: its own line. */
type LineInstead = (server: Server, shape: string) => string | null | undefined;

/** Makes the text of the file; the text of a service is kept until the service changes. */
export class ConfigTextBuilder {
  readonly #config: HaproxyConfig;
  readonly #services: ReadonlyMap<string, DesiredService>;
  readonly #cache = new WeakMap<DesiredService, CachedText>();

  constructor(config: HaproxyConfig, services: ReadonlyMap<string, DesiredService>) {
    this.#config = config;
    this.#services = services;
  }

  /** Makes the text that names `generation`. */
  build(selection: TextSelection, generation: string, present: Present): ConfigText {
    const parts: { desired: DesiredService; spec: BackendSpec; text: string }[] = [];
    const shapes = new Set<string>();
    for (const desired of this.#services.values()) {
      const spec = selection.specOf(desired);
      if (spec === undefined) continue;
      const made = this.#serviceText(desired, spec, { selection, present });
      parts.push({ desired, spec, text: made.text });
      for (const shape of made.shapes) shapes.add(shape);
    }
    const specs = parts.map(({ spec }) => spec);
    const { head, tail } = renderAround(this.#config, specs, generation);
    return {
      text: [head, ...parts.map(({ text }) => text), tail].join(''),
      shapes,
      locate(line) {
        let first = 1 + breaksIn(head);
        for (const { desired, spec, text } of parts) {
          const end = first + breaksIn(text);
          if (line < first) return undefined;
          if (line < end) return ownerOf(text.split('\n')[line - first] ?? '', desired, spec);
          first = end;
        }
        return undefined;
      },
    };
  }

  #serviceText(
    desired: DesiredService,
    spec: BackendSpec,
    { selection, present }: { readonly selection: TextSelection; readonly present: Present },
  ): ServiceText {
    const { accept, isRecovered } = selection;
    if (desired.instances === undefined) return { text: this.#keptText(desired, spec, present), shapes: noShapes };
    if (isRecovered?.(spec)) {
      // Servers of a service whose new options are refused keep their lines; new servers are added at run time only.
      const { text } = this.#makeText(desired, spec, (server) => keptLine(server, spec, present));
      return { text, shapes: noShapes };
    }
    const all = this.#cachedText(desired, spec);
    if (accept === undefined || [...all.shapes].every(accept)) return all;
    return this.#makeText(desired, spec, (server, shape) =>
      accept(shape) ? undefined : keptLine(server, spec, present),
    );
  }

  #cachedText(desired: DesiredService, spec: BackendSpec): ServiceText {
    const { instances, numbering } = desired;
    const known = this.#cache.get(desired);
    if (known?.spec === spec && known.instances === instances && known.numbering === numbering) return known;
    const made = { ...this.#makeText(desired, spec), spec, instances, numbering };
    this.#cache.set(desired, made);
    return made;
  }

  #makeText(desired: DesiredService, spec: BackendSpec, lineInstead?: LineInstead): ServiceText {
    const servers = [...(desiredServers(desired, spec)?.values() ?? [])];
    // Numbers are given out in discovery order, whatever the order of the lines.
    const ids = new Map(servers.map((server) => [server.name, desired.ids.claim(server.name, server.askedId)]));
    const shapes = new Set<string>();
    const lines: string[] = [];
    for (const server of orderServers(servers, spec.servers.order)) {
      const { shape, line } = renderServer(server, spec, ids.get(server.name));
      const other = lineInstead?.(server, shape);
      if (other === undefined) shapes.add(shape);
      if (other !== null) lines.push(other ?? line);
    }
    return { text: ownText(renderService(this.#config, { spec, servers: lines })), shapes };
  }

  /** The lines that are there, and lines for the servers that were added at run time since. */
  #keptText(desired: DesiredService, spec: BackendSpec, present: Present): string {
    const lines = present.file().backends.get(spec.backend);
    const running = present.running.get(spec.backend);
    const kept = [...(lines?.values() ?? [])]
      .filter(({ name }) => !spec.fixed.has(name))
      .map((server) => lineWithAddress(server, running?.get(server.name)));
    for (const server of running?.values() ?? []) {
      const { name, address, maintenance } = server;
      if (lines?.has(name) || spec.fixed.has(name) || maintenance) continue;
      // Its line has the address in place of the host name already.
      const own = isNamed(address) ? namedByAddress(server) : server;
      if (own === undefined || lines?.has(own.name)) continue;
      kept.push(serverLine(serverOf(instanceOf(own), spec.servers), desired.ids.claim(own.name, own.id)));
    }
    return renderService(this.#config, { spec, servers: kept });
  }
}

/**
 * The line of a server with an address in place of a host name, as an older synapse wrote it, and with the name that the server
 * has today: HAProxy would look up one host name after the other at each load, and do nothing else meanwhile. A server whose
 * address is not known has none until its source answers.
 */
function lineWithAddress({ line, address }: ParsedServer, running: RunningServer | undefined): string {
  if (!isNamed(address)) return line;
  const own = running && namedByAddress(running);
  if (own === undefined) return `${line} init-addr none`;
  return line.replace(/^server\s+\S+\s+\S+/, `server ${own.name} ${own.address}`);
}

/** A server with a host name as it would be named by its address; undefined when HAProxy has found none. */
function namedByAddress(server: RunningServer): RunningServer | undefined {
  const { name, address, resolved } = server;
  if (resolved === undefined) return undefined;
  const own = name.endsWith(`_${address}`) ? name.slice(0, -address.length - 1) : address.replace(/:[0-9]+$/, '');
  return { ...server, name: `${own}_${resolved}`, address: resolved };
}

function instanceOf({ name, address, drained }: RunningServer): OutputInstance {
  const colon = address.lastIndexOf(':');
  return {
    id: name,
    name: '',
    host: address.slice(0, colon),
    port: Number(address.slice(colon + 1)),
    state: drained ? 'drain' : 'up',
    backup: false,
  };
}

const noShapes: ReadonlySet<string> = new Set();

/**
 * A server's line without its name, address and numbers, which synapse makes: HAProxy accepts a server when it accepts
 * another one of the same shape.
 */
export function shapeOf(server: Server, spec: BackendSpec): string {
  return `${spec.fingerprint} ${server.options}${server.backup ? ' backup' : ''}`;
}

function ownerOf(line: string, desired: DesiredService, spec: BackendSpec): LineOwner {
  const name = /^\s*server\s+(\S+)/.exec(line)?.[1] ?? '';
  const server = desiredServers(desired, spec)?.get(name);
  return { service: desired.service, shape: server && shapeOf(server, spec), server };
}

function breaksIn(text: string): number {
  return text.split('\n').length - 1;
}

/** The line that the file has for this server already; null when it has none. */
function keptLine(server: Server, spec: BackendSpec, present: Present): string | null {
  const known = present.file().backends.get(spec.backend)?.get(server.name);
  return known !== undefined && known.address === server.address ? known.line : null;
}

interface RenderedServer {
  readonly id: number | undefined;
  readonly shape: string;
  readonly line: string;
}

/** One changed server costs one new line, however many other servers there are. */
const renderedServers = new WeakMap<Server, RenderedServer>();

function renderServer(server: Server, spec: BackendSpec, id: number | undefined): RenderedServer {
  let known = renderedServers.get(server);
  if (known === undefined || known.id !== id) {
    known = { id, shape: shapeOf(server, spec), line: serverLine(server, id) };
    renderedServers.set(server, known);
  }
  return known;
}
