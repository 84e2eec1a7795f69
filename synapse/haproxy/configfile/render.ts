import { digest } from '../../../common/digest.ts';
import type { HaproxyConfig } from '../options/config.ts';
import { defaultTemplate, type FileView, renderTemplate } from '../options/template.ts';
import { poolSections } from '../ports/port-pool.ts';
import { addedLines, generationVariable } from '../spec/build-backend.ts';
import { modernize, rewriteSections } from '../spec/legacy-directives.ts';
import type { BackendSpec } from '../spec/types.ts';

/** One service's part of the file. */
export interface ServicePart {
  readonly spec: BackendSpec;
  /** `server …` lines without indentation, in order. */
  readonly servers: readonly string[];
}

/** What is around the services. */
export interface Surroundings {
  readonly head: string;
  readonly tail: string;
}

/** The text of one service: its frontend, if it has a port, and its backend. */
export function renderService({ template = defaultTemplate }: HaproxyConfig, { spec, servers }: ServicePart): string {
  const { service, backend, lines } = spec;
  const frontend = spec.frontend === undefined ? undefined : { name: `${service}${spec.suffix}`, lines: spec.frontend };
  return renderTemplate(template.service, { service, frontend, backend, lines, servers });
}

/**
 * A hash of everything that takes a reload to change: all text but the server lines, and how servers are made.
 * Membership never changes it, so a HAProxy that runs the same generation needs no reload.
 */
export function generationOf(config: HaproxyConfig, specs: readonly BackendSpec[]): string {
  const services = specs.map(
    ({ service, backend, poolPort, fingerprint }) => `${poolPort === undefined ? service : backend} ${fingerprint}`,
  );
  const { head, tail } = renderAround(config, specs, undefined);
  const own = config.template === undefined ? [] : [config.template.service];
  return digest([head, tail, ...services, ...own].join('\n'));
}

/** The sections around the services. */
export function renderAround(
  config: HaproxyConfig,
  specs: readonly BackendSpec[],
  generation: string | undefined,
): Surroundings {
  const { template = defaultTemplate } = config;
  const added = addedLines(config);
  const mark = generation === undefined ? [] : [`setenv ${generationVariable} ${generation}`];
  const view: FileView = {
    generation: generation ?? '',
    global: [...modernize(config.global).lines, ...added.global, ...mark],
    defaults: [...modernize(config.defaults).lines, ...added.defaults],
    sections: [...rewriteSections(config.extra_sections).sections, ...poolSections(config, specs)],
    shared_frontend:
      config.shared_frontend === null
        ? undefined
        : { lines: modernize([...config.shared_frontend, ...specs.flatMap(({ shared }) => shared)]).lines },
  };
  return { head: renderTemplate(template.head, view), tail: renderTemplate(template.tail, view) };
}
