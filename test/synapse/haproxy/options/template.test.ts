import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Problem } from '../../../../common/config/config.ts';
import { haproxySection } from '../../../../synapse/haproxy/options/section.ts';
import { parseTemplate } from '../../../../synapse/haproxy/options/template.ts';
import { fileText, plainConfig } from '../../../support/haproxy/haproxy-text.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

const own = `# ours
global
{{#global}}
  {{.}}
{{/global}}
defaults
{{#defaults}}
  {{.}}
{{/defaults}}
{{#services}}
# {{service}} & "friends"
{{#frontend}}
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
{{/services}}
# the end
`;
const api = {
  config: { port: 1, server_options: 'check', listen: ['mode http'] },
  instances: [{ host: 'h', port: 2 }],
};
const more = { config: { backend: ['http-request set-header X-A "<b>"'] }, instances: [] };

describe("a user's template", () => {
  it('makes the file, with nothing escaped', () => {
    const text = fileText({ ...plainConfig(), template: parseTemplate(own) }, { api, more });
    assert.equal(
      text.replace(/SYNAPSE_GEN \S+/, 'SYNAPSE_GEN GEN'),
      `# ours
global
  daemon
  stats timeout 1h
  stats maxconn 20
  hard-stop-after 15m
  setenv SYNAPSE_GEN GEN
defaults
  mode http
  option idle-close-on-response
  option redispatch
  default-server init-addr last,libc,none
# api & "friends"
frontend api
  mode http
  bind localhost:1
  default_backend api
backend api
  mode http
  server h:2 h:2 id 1 cookie h:2 check
# more & "friends"
backend more
  http-request set-header X-A "<b>"
# the end
`,
    );
  });

  it('is part of the configuration that HAProxy is known to have loaded', () => {
    const generation = (template: string) =>
      /SYNAPSE_GEN (\S+)/.exec(fileText({ ...plainConfig(), template: parseTemplate(template) }, { api }))?.[1];
    assert.equal(generation(own), generation(own));
    assert.notEqual(generation(own), generation(own.replace('friends', 'others')));
    assert.notEqual(generation(own), generation(own.replace('the end', 'an end')));
  });

  const wrong: readonly [what: string, text: string | undefined, message: RegExp][] = [
    ['is not there', undefined, /does not exist$/],
    ['is no mustache', own.replace('{{/global}}', ''), /Unclosed|Unopened/],
    ['has no services', 'global\n{{#global}}\n{{.}}\n{{/global}}\n', /\{\{#services\}\}/],
    ['has services twice', `${own}${own}`, /not several/],
    ['leaves out the global lines', own.replace('  {{.}}', '  x'), /all lines of \{\{#global\}\}/],
  ];
  for (const [what, text, message] of wrong) {
    it(`is refused with its name when it ${what}`, async (t) => {
      const path = join(await tempFolder(t), 'own.mustache');
      if (text !== undefined) await writeFile(path, text);
      const problems: Problem[] = [];
      haproxySection.readTop(
        { global: [], defaults: [], do_writes: false, do_socket: false, do_reloads: false, template_path: path },
        { path: 'haproxy', problems },
      );
      const [problem] = problems.filter(({ severity }) => severity !== 'warning');
      assert.equal(problem?.path, 'haproxy.template_path');
      assert.match(problem?.message ?? '', message);
      assert.ok(problem?.message.startsWith(path), problem?.message);
    });
  }
});
