import { joinPath } from '../../../common/config/config.ts';
import { isObject } from '../../../common/config/formats.ts';
import { reasonOf } from '../../../common/daemon/log.ts';
import type { HaproxyConfig } from '../options/config.ts';
import { haproxySection } from '../options/section.ts';
import type { ServiceHaproxyConfig } from '../options/service-config.ts';
import { modeOf } from '../spec/build-backend.ts';
import { modernize } from '../spec/legacy-directives.ts';
import { backendLines, frontendLines } from '../spec/listen-lines.ts';
import { type Family, familyOf, formsLike, type PublishedLine, readLine, type Side } from './directives.ts';
import { mergeServerOptions } from './server-options.ts';

/** The local configuration that a published one goes on top of. Plain data. */
export interface PublishedBase {
  readonly config: ServiceHaproxyConfig;
  /** The name of the service's backend. */
  readonly backend: string;
  /** The lines of all `defaults` sections, which hold where the service has none of its own. */
  readonly defaults: readonly string[];
  /** `trust_server_options`. */
  readonly trusted: readonly string[];
}

/** The service's section with the published one on top; or why that is refused. */
export type MergeResult = { readonly config: ServiceHaproxyConfig } | { readonly refused: string };

/** The base of one service. */
export function publishedBase(service: string, config: ServiceHaproxyConfig, haproxy: HaproxyConfig): PublishedBase {
  const more = Object.entries(haproxy.extra_sections)
    .filter(([title]) => /^\s*defaults\b/.test(title))
    .flatMap(([, lines]) => lines);
  const backend = config.backend_name ?? service;
  return { config, backend, defaults: [...haproxy.defaults, ...more], trusted: haproxy.trust_server_options };
}

/** The options that a document may have. */
const sections = ['frontend', 'backend', 'listen'] as const;
const words: Readonly<Record<string, readonly string[]>> = {
  backend_order: ['asc', 'desc', 'no_shuffle'],
  cookie_value_method: ['hash'],
};
/** All keys of a published section. */
export const publishedKeys: readonly string[] = [...sections, 'server_options', ...Object.keys(words)];

const maxLines = 64;
const maxLineLength = 512;

/** What a document says, read. */
interface Accepted {
  readonly frontend: PublishedLine[];
  readonly backend: PublishedLine[];
}

/**
 * Puts a published document on top of the local section. A published line replaces the local lines of its kind and no others,
 * and a published server option replaces the same local option. A document is refused as a whole when any part of it is not in
 * the list of what may be published, or would replace what only the local configuration may decide.
 */
export function mergePublished(base: PublishedBase, published: unknown): MergeResult {
  if (!isObject(published)) return { refused: 'must be an object of sections by name' };
  const section = published[haproxySection.key];
  if (section === undefined || section === null) return { config: base.config };
  if (!isObject(section)) return { refused: `${haproxySection.key}: must be an object of options` };
  try {
    return { config: mergeSection(base, section) };
  } catch (error) {
    return { refused: reasonOf(error) };
  }
}

/** @throws saying why the section is refused */
function mergeSection(base: PublishedBase, section: Readonly<Record<string, unknown>>): ServiceHaproxyConfig {
  const { config } = base;
  for (const key of Object.keys(section)) {
    if (!publishedKeys.includes(key)) refuse(key, `may not be published; allowed are ${publishedKeys.join(', ')}`);
  }
  const accepted = readLines(base, section);
  const changed = accepted.frontend.length + accepted.backend.length > 0;
  return {
    ...config,
    ...(changed && {
      frontend: mergeLines('frontend', base, accepted.frontend),
      backend: mergeLines('backend', base, accepted.backend),
      listen: [],
    }),
    ...readWords(section),
    ...(isGiven(section.server_options) && { server_options: readServerOptions(base, section.server_options) }),
  };
}

function readWords(section: Readonly<Record<string, unknown>>): Partial<ServiceHaproxyConfig> {
  const found: Record<string, string> = {};
  for (const [key, allowed] of Object.entries(words)) {
    const value = section[key];
    if (!isGiven(value)) continue;
    if (typeof value !== 'string' || !allowed.includes(value)) refuse(key, `must be ${allowed.join(' or ')}`);
    found[key] = value;
  }
  return found;
}

function readServerOptions({ config, trusted }: PublishedBase, value: unknown): string {
  if (typeof value !== 'string') refuse('server_options', 'must be a string');
  const local = typeof config.server_options === 'string' ? config.server_options : '';
  try {
    return mergeServerOptions(local, value, trusted);
  } catch (error) {
    refuse('server_options', reasonOf(error));
  }
}

/** The published lines, by the side that they go to. A line of `listen` goes where it belongs. */
function readLines(base: PublishedBase, section: Readonly<Record<string, unknown>>): Accepted {
  const accepted: Accepted = { frontend: [], backend: [] };
  let count = 0;
  for (const key of sections) {
    for (const line of linesOf(key, section[key])) {
      if (++count > maxLines) refuse(key, `a document may have at most ${maxLines} lines`);
      const read = readLine(line);
      if (read === undefined) {
        checkMode(base, key, line);
        continue;
      }
      const { sides } = read.directive;
      if (key !== 'listen' && !sides.includes(key)) refuse(key, `${show(line)} belongs to the ${sides[0]}`);
      for (const side of key === 'listen' ? sides : [key]) accepted[side].push(read);
    }
  }
  return accepted;
}

function linesOf(key: string, value: unknown): readonly string[] {
  if (!isGiven(value)) return [];
  const list: unknown = typeof value === 'string' ? value.split('\n') : value;
  if (!Array.isArray(list)) refuse(key, 'must be a list of strings');
  return list.flatMap((line: unknown) => {
    if (typeof line !== 'string') refuse(key, 'must be a list of strings');
    if (line.length > maxLineLength) refuse(key, `${show(line)}: a line may have at most ${maxLineLength} characters`);
    return line.trim() === '' ? [] : [line];
  });
}

/**
 * Documents for SmartStack name the mode. It is accepted when it is the one that is in force anyway: another mode would switch
 * off the rules of the local configuration.
 */
function checkMode(base: PublishedBase, key: (typeof sections)[number], line: string): void {
  const [first, mode, ...rest] = line.trim().split(/[ \t]+/);
  if (first !== 'mode' || rest.length > 0 || (mode !== 'http' && mode !== 'tcp')) {
    const forms = formsLike(line);
    refuse(
      key,
      `${show(line)} may not be published${forms.length === 0 ? '' : `; allowed is ${forms.map((form) => `'${form}'`).join(' or ')}`}`,
    );
  }
  for (const side of key === 'listen' ? usedSides(base) : [key]) {
    const local = modeOn(side, base);
    if (mode !== local) refuse(key, `${show(line)}: the local configuration has mode ${local} in the ${side}`);
  }
}

function usedSides({ config }: PublishedBase): readonly Side[] {
  return config.port === false ? ['backend'] : ['frontend', 'backend'];
}

function localLines(side: Side, { config, backend }: PublishedBase): readonly string[] {
  return side === 'frontend'
    ? [...config.frontend, ...frontendLines(config.listen, backend)]
    : [...config.backend, ...backendLines(config.listen)];
}

function modeOn(side: Side, base: PublishedBase): string {
  return modeOf(localLines(side, base)) ?? modeOf(base.defaults) ?? 'tcp';
}

/** The lines of one side: the local ones that stay, in order, and then the published ones. */
function mergeLines(side: Side, base: PublishedBase, published: readonly PublishedLine[]): readonly string[] {
  const local = localLines(side, base);
  checkTogether(side, published);
  const isHttp = modeOn(side, base) === 'http';
  const needing = published.find(({ form }) => form.needsHttp && !isHttp);
  if (needing !== undefined && usedSides(base).includes(side)) {
    refuse(side, `${show(needing.text)} needs mode http, which the local configuration does not have in the ${side}`);
  }
  const families = new Map(published.map((line) => [line.directive.family, line]));
  for (const line of modernize([...local, ...base.defaults]).lines) {
    const family = familyOf(line);
    const by = family && families.get(family);
    if (by !== undefined && !mayReplace(line, by)) {
      refuse(side, `${show(by.text)} would replace ${show(line)} of the local configuration, which only it may change`);
    }
  }
  const isReplaced = (line: string): boolean => {
    const family: Family | undefined = familyOf(currentForm(line));
    return family !== undefined && families.has(family);
  };
  const added = published.toSorted((a, b) => a.order - b.order).map(({ text }) => text);
  return [...local.filter((line) => !isReplaced(line)), ...added];
}

/** Whether a published line may replace a local one of the same family. */
function mayReplace(local: string, { text, directive }: PublishedLine): boolean {
  const { replaces, keeps } = directive.family;
  if (replaces === 'any') return true;
  if (replaces === 'none' || readLine(local) === undefined) return false;
  const [before, after] = [local.split(/\s+/), text.split(' ')];
  return keeps.every((word) => !before.includes(word) || after.includes(word));
}

/** The form in which HAProxy takes an old line, the first line of it; an empty one when it is left out. */
function currentForm(line: string): string {
  return modernize([line]).lines[0] ?? '';
}

/** Refuses lines that HAProxy does not take together. */
function checkTogether(side: Side, published: readonly PublishedLine[]): void {
  const seen = new Set<unknown>();
  for (const { text, directive, form } of published) {
    const kind = directive.hasSeveral ? form : directive.family.isChoice ? directive.family : directive;
    if (seen.has(kind)) refuse(side, `${show(text)}: there is another line of this kind`);
    seen.add(kind);
  }
  const begins = (words: string) => published.filter(({ directive }) => directive.slot === words);
  const checks = published.filter(({ directive }) => directive.family.name === 'check');
  const protocols = checks.filter(({ directive }) => directive.slot.startsWith('option '));
  const [first, second] = protocols;
  if (second !== undefined) refuse(side, `${show(second.text)}: ${show(first?.text ?? '')} is another kind of check`);
  const needs: readonly (readonly [string, string])[] = [
    ['http-check', 'option httpchk'],
    ['tcp-check', 'option tcp-check'],
    ['stick on', 'stick-table'],
  ];
  for (const [slot, needed] of needs) {
    const [line] = begins(slot);
    if (line !== undefined && begins(needed).length === 0) {
      refuse(side, `${show(line.text)} needs a line '${needed} …' in the same document`);
    }
  }
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** @throws always */
function refuse(key: string, reason: string): never {
  throw new Error(`${joinPath(haproxySection.key, key)}: ${reason}`);
}

function show(line: string): string {
  return JSON.stringify(line.trim().slice(0, 80));
}
