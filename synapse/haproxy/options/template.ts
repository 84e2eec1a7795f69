import { readFileSync } from 'node:fs';
import mustache from 'mustache';
import { unreadable } from '../../../common/config/problem.ts';
import { reasonOf } from '../../../common/daemon/log.ts';

/**
 * The file as three mustache templates, rendered with escaping off: a service is rendered alone, so that its text can be
 * kept until it changes.
 */
export interface FileTemplate {
  /** The text before the services. View: {@link FileView}. */
  readonly head: string;
  /** One service. View: {@link ServiceView}. */
  readonly service: string;
  /** The text after the services. View: {@link FileView}. */
  readonly tail: string;
}

/** Lines are without indentation. */
export interface FileView {
  /** Names the configuration. `global` sets it in HAProxy's environment, from which synapse reads what was loaded. */
  readonly generation: string;
  readonly global: readonly string[];
  readonly defaults: readonly string[];
  /** `extra_sections`. */
  readonly sections: readonly { readonly title: string; readonly lines: readonly string[] }[];
  /** Undefined without a top-level `shared_frontend`. */
  readonly shared_frontend: { readonly lines: readonly string[] } | undefined;
}

/** One service. */
export interface ServiceView {
  readonly service: string;
  /** Undefined without a port. */
  readonly frontend: { readonly name: string; readonly lines: readonly string[] } | undefined;
  /** The backend's name. */
  readonly backend: string;
  readonly lines: readonly string[];
  /** `server …` lines. */
  readonly servers: readonly string[];
}

/** In a module rather than in a file beside it because `tsc` copies no other files. */
export const defaultTemplate: FileTemplate = {
  head: `global
{{#global}}
	{{.}}
{{/global}}
defaults
{{#defaults}}
	{{.}}
{{/defaults}}
{{#sections}}

{{title}}
{{#lines}}
	{{.}}
{{/lines}}
{{/sections}}
`,
  service: `{{#frontend}}

frontend {{name}}
{{#lines}}
	{{.}}
{{/lines}}
{{/frontend}}

backend {{backend}}
{{#lines}}
	{{.}}
{{/lines}}
{{#servers}}
	{{.}}
{{/servers}}
`,
  tail: `{{#shared_frontend}}

frontend shared-frontend
{{#lines}}
	{{.}}
{{/lines}}
{{/shared_frontend}}
`,
};

/** Renders without escaping. @throws when the template is not valid mustache */
export function renderTemplate(template: string, view: FileView | ServiceView): string {
  return mustache.render(template, view, undefined, { escape: (value: unknown) => String(value) });
}

/**
 * Splits a user's template: one text, in which a section `{{#services}}` … `{{/services}}`, its tags on lines of
 * their own, stands for each service.
 * @throws when it is not valid mustache, or lacks a part that synapse needs
 */
export function parseTemplate(text: string): FileTemplate {
  mustache.parse(text);
  const tag = (mark: string) => `^[ \\t]*\\{\\{${mark}[ \\t]*services[ \\t]*\\}\\}[ \\t]*(?:\\n|$)`;
  const whole = new RegExp(`${tag('#')}([\\s\\S]*?)${tag('/')}`, 'm');
  const found = whole.exec(text);
  if (found === null) {
    throw new Error(
      'must have a section {{#services}} … {{/services}}, with each of these two tags on a line of its own',
    );
  }
  const template = {
    head: text.slice(0, found.index),
    service: found[1] ?? '',
    tail: text.slice(found.index + found[0].length),
  };
  if (whole.test(template.tail)) throw new Error('must have one section {{#services}}, not several');
  for (const part of Object.values(template)) mustache.parse(part);
  const mark = 'setenv probe';
  const view = { generation: 'probe', global: [mark], defaults: [], sections: [], shared_frontend: undefined };
  if (!renderTemplate(template.head, view).includes(mark)) {
    throw new Error(
      'must write all lines of {{#global}} before the services: synapse adds lines to them that it needs',
    );
  }
  return template;
}

/** Reads a user's template. @throws naming the file, when it cannot be read or cannot be used */
export function readTemplate(path: string): FileTemplate {
  try {
    return parseTemplate(readFileSync(path, 'utf8'));
  } catch (error) {
    // The sentence says all that Node's own message says.
    if ((error as NodeJS.ErrnoException).code !== undefined) {
      throw new Error(`${path} ${unreadable(error as NodeJS.ErrnoException)}`);
    }
    throw new Error(`${path}: ${reasonOf(error)}`, { cause: error });
  }
}
