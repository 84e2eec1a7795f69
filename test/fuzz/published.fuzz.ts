import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { exec } from '../../common/daemon/exec.ts';
import { findProgram } from '../../deploy/tools/debian/programs.ts';
import { type MergeResult, mergePublished, publishedBase } from '../../synapse/haproxy/published/merge.ts';
import { serviceConfig } from '../support/haproxy/haproxy-output.ts';
import { fileText, plainConfig } from '../support/haproxy/haproxy-text.ts';
import { completed, document, validLine, validOn, validSection } from '../support/haproxy/published-documents.ts';
import { type HaproxyVersion, haproxyVersions } from '../support/haproxy/versions.ts';
import { property, propertyWith } from './property.ts';

/** Lines that only the local configuration may decide about. */
const ownLines: readonly string[] = [
  'http-request deny if !{ src 127.0.0.0/8 }',
  'tcp-request content reject if { src 192.0.2.1 }',
  'acl own src 192.0.2.1',
  'http-check connect port 81',
  'tcp-check connect addr 127.0.0.1',
  'cookie OWN prefix',
  'http-reuse never',
  'stick-table type ip size 10 store gpc0',
  'source 127.0.0.1',
  'default-server on-marked-down shutdown-sessions',
  'option forwardfor',
];
const plainBase = fc.constant({
  config: { port: 3213 as const, backend: [], listen: ['mode http'], server_options: 'check' },
  defaults: [],
});
/** A service's own section. */
const anyBase = fc.record({
  config: fc.record({
    port: fc.constantFrom<number | false>(3213, false),
    backend: fc.array(fc.oneof(fc.constantFrom(...ownLines), validOn('backend')), { maxLength: 5 }),
    listen: fc.constantFrom(['mode http'], ['mode tcp'], [], ['mode http', 'timeout client 9s', 'option httpchk']),
    server_options: fc.constantFrom(
      '',
      'check',
      'check ssl verify none',
      'check addr 127.0.0.1 port 81 inter 9s',
      'check sni str("a b")',
    ),
  }),
  defaults: fc.constantFrom(
    ['mode http'],
    ['mode tcp'],
    [],
    ['mode http', 'option tcp-check', 'tcp-check connect port 81'],
  ),
});

const base = fc.oneof(plainBase, anyBase);

function merge({ config, defaults }: { config: object; defaults: readonly string[] }, published: unknown): MergeResult {
  const own = serviceConfig({ ...config });
  return mergePublished(publishedBase('api', own, plainConfig({ defaults, trust_server_options: ['*'] })), published);
}

/** Characters that HAProxy gives a meaning: quotes, variables, comments, formats, and all that are not plain. */
const special = /[^ -~]|["'\\#$%`{}<>*^|@;[\]]/;
/** Words that name an address, a file, a program, a socket or a rule, written without a look at what may be published. */
const dangerous =
  /(^|[\s,(:])(bind|server|addr|port|unix|abns|fd|ssl|sni|socks4|source|interface|lua|map|env|file|crt|verify|peers|table|store|track|use|use-service|filter|log|capture|acl|send|body|external|connect [a-z]|command|redirect|stats|usesrc|via)([\s,.(-]|$)/i;
/** Texts that their author chooses, and words that have another meaning where they are. */
const harmless =
  /(?<=string |cookie |url_param |Host |uri )\S+|(?<=(hdr|cook)\()[^)]+|(?<=httpchk ).*|^(balance source|hash-type map-based|timeout [a-z-]+ |http-check send( |$)|stick-table |option (log|persist|tcp-check|clitcpka|srvtcpka)|no option log)/g;

const merges = property(
  'a published document changes no more than timeouts, balancing and checks of its own service',
  fc.tuple(base, document),
  ([own, published]) => {
    const result = merge(own, published);
    const local = serviceConfig({ ...own.config });
    if ('refused' in result) {
      assert.ok(result.refused.length > 0 && result.refused.length < 2_000);
      return;
    }
    const { config } = result;
    for (const key of Object.keys(local) as (keyof typeof local)[]) {
      if (['frontend', 'backend', 'listen', 'server_options', 'backend_order', 'cookie_value_method'].includes(key))
        continue;
      assert.deepEqual(config[key], local[key], key);
    }
    const before = [...local.frontend, ...local.backend, ...local.listen];
    const after = [...config.frontend, ...config.backend, ...config.listen];
    for (const each of after) {
      if (before.includes(each)) continue;
      assert.doesNotMatch(each, special);
      assert.doesNotMatch(each.replaceAll(harmless, ''), dangerous);
      assert.ok(each.length <= 600);
    }
    for (const each of ownLines) {
      if (before.includes(each)) assert.ok(after.includes(each), `${each} is gone`);
    }
    for (const flag of ['secure', 'httponly']) {
      const has = (lines: readonly string[]): boolean =>
        lines.some((each) => /^cookie /.test(each) && each.includes(` ${flag}`));
      if (has(before)) assert.ok(has(after), `the cookie is not ${flag} any more`);
    }
    const options = [local.server_options, config.server_options].map((text) =>
      String(text).split(' ').filter(Boolean),
    );
    for (const word of options[0] ?? []) {
      if (word !== '9s') assert.ok(options[1]?.includes(word), `${word} is gone from the server options`);
    }
    for (const word of options[1] ?? []) {
      if (options[0]?.includes(word)) continue;
      assert.match(word, /^([0-9]+(ms|s|m|h|d)?|check|inter|fastinter|downinter|rise|fall|slowstart|weight|maxconn)$/);
    }
  },
  { cases: 2_000 },
);

const bases = fc.constantFrom(
  ...['http', 'tcp'].flatMap((mode) => [
    { config: { listen: [`mode ${mode}`], server_options: 'check' }, defaults: ['mode http'] },
    {
      config: { listen: [`mode ${mode}`, 'balance first', 'option httpchk GET /', 'retries 1'] },
      defaults: ['mode tcp', 'option tcp-check'],
    },
  ]),
);
/** A service with a document, of which most are accepted. */
const service = fc.record({
  own: bases,
  published: validSection.map((haproxy) => ({ haproxy })),
});

/** The file of HAProxy for some services and one that has no document. */
function render(
  services: readonly { own: { config: object; defaults: readonly string[] }; published: unknown }[],
): string {
  const haproxy = plainConfig({
    frontend_suffix: '.in',
    global: ['zero-warning'],
    defaults: ['timeout client 1s', 'timeout server 1s', 'timeout connect 1s'],
  });
  const entries = services.map(({ own, published }, index) => {
    const result = mergePublished(
      publishedBase('api', serviceConfig({ port: 20_000 + index, ...own.config }), haproxy),
      published,
    );
    const config = 'config' in result ? result.config : serviceConfig({ port: 20_000 + index, ...own.config });
    return [`s${index}`, { config: { ...config }, instances: [{ host: '127.0.0.1', port: 1, name: 'one' }] }] as const;
  });
  const other = {
    config: { port: 19_999, listen: ['mode http'] },
    instances: [{ host: '127.0.0.1', port: 2, name: 'two' }],
  };
  return fileText(haproxy, { other, ...Object.fromEntries(entries) });
}

/** The lines of a file that say where HAProxy listens and connects, and which sections there are. */
function skeleton(text: string): readonly string[] {
  return text
    .split('\n')
    .map((each) => each.replace(/^(\tserver \S+ \S+).*/, '$1'))
    .filter((each) =>
      /^(\S|\t(bind|server|default_backend|use_backend|log|stats|setenv (?!SYNAPSE_GEN)|mode) )/.test(each),
    );
}

/** A HAProxy program, and a folder for the files that it checks. */
interface Checker {
  readonly program: string;
  readonly folder: string;
}

const checker = (version: HaproxyVersion) => ({
  open: async (): Promise<Checker> => ({
    program: await findProgram('haproxy', { version }),
    folder: await mkdtemp(join(tmpdir(), 'smartstack-fuzz-')),
  }),
  close: ({ folder }: Checker) => rm(folder, { recursive: true, force: true }),
});

const accepts = haproxyVersions.map((version) =>
  propertyWith(
    `HAProxy ${version} accepts the file with published documents, which moves no address`,
    checker(version),
    fc.array(service, { minLength: 1, maxLength: 12 }),
    async (services, { program, folder }) => {
      const file = join(folder, 'haproxy.cfg');
      const text = render(services);
      assert.deepEqual(skeleton(text), skeleton(render(services.map(({ own }) => ({ own, published: {} })))));
      await writeFile(file, text);
      const { code, stdout, stderr } = await exec([program, '-c', '-f', file], { timeoutMs: 30_000 });
      assert.equal(code, 0, `${stdout}${stderr}`.slice(0, 2_000));
    },
    { cases: 25 },
  ),
);

const useful = property(
  'a document of one line that may be published is accepted where its mode is in force',
  fc.tuple(fc.constantFrom('frontend', 'backend', 'listen'), validLine),
  ([key, each]) => {
    const own = { config: { listen: ['mode http'] }, defaults: [] };
    const result = merge(own, { haproxy: completed({ [key]: [each] }) });
    if ('config' in result) {
      assert.ok(!isDeepStrictEqual(result.config, serviceConfig(own.config)));
      return;
    }
    assert.notEqual(key, 'listen', result.refused);
    assert.match(result.refused, /belongs to the (front|back)end$/);
  },
);

export const properties = [merges, useful, ...accepts];
