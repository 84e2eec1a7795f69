import mustache from 'mustache';
import type { HaproxyConfig } from './config.ts';
import { addedLines, generationVariable } from './defaults.ts';
import { digest } from './digest.ts';
import type { Structure } from './model.ts';
import { rewriteSections } from './quirks.ts';
import { headTemplate, serviceTemplate, sharedFrontendTemplate } from './template.ts';

/** One service's part of the file. */
export interface ServicePart {
  readonly structure: Structure;
  /** `server …` lines without indentation, in order. */
  readonly servers: readonly string[];
}

/** The text of one service: its frontend, if it has a port, and its backend. */
export function renderService({ structure, servers }: ServicePart): string {
  const { service, backend, lines } = structure;
  const frontend =
    structure.frontend === undefined ? undefined : { suffix: structure.suffix, lines: structure.frontend };
  return render(serviceTemplate, { service, frontend, backend, lines, servers });
}

/**
 * A hash of everything that a reload is needed for to change: all text but the server lines, and how servers are made.
 * Membership never alters it, so a running HAProxy with the same value needs no reload.
 */
export function generationOf(config: HaproxyConfig, structures: readonly Structure[]): string {
  const services = structures.map(({ service, fingerprint }) => `${service} ${fingerprint}`);
  return digest([renderHead(config, undefined), renderShared(config, structures), ...services].join('\n'));
}

/** The sections that do not depend on services. */
export function renderHead(config: HaproxyConfig, generation: string | undefined): string {
  const added = addedLines(config);
  const mark = generation === undefined ? [] : [`setenv ${generationVariable} ${generation}`];
  return render(headTemplate, {
    global: [...config.global, ...added.global, ...mark],
    defaults: [...config.defaults, ...added.defaults],
    sections: rewriteSections(config.extra_sections).sections,
  });
}

/** The frontend that services share; empty without one. */
export function renderShared(config: HaproxyConfig, structures: readonly Structure[]): string {
  if (config.shared_frontend === null) return '';
  return render(sharedFrontendTemplate, {
    lines: [...config.shared_frontend, ...structures.flatMap(({ shared }) => shared)],
  });
}

function render(template: string, view: object): string {
  return mustache.render(template, view, undefined, { escape: (value: unknown) => String(value) });
}
