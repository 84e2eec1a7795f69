import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { thisHost } from '../../../../common/host.ts';
import { withTemporaryFile } from '../../../../synapse/config/sample.ts';
import { checkCandidate } from '../../../../synapse/haproxy/configfile/check.ts';
import { explainFindings } from '../../../../synapse/haproxy/configfile/refusal.ts';
import { wantedText } from '../../../../synapse/haproxy/wanted-text.ts';
import type { Snapshot } from '../../../../synapse/output.ts';
import { testHaproxy } from '../../../support/haproxy/haproxy.ts';
import { instance, serviceConfig, testConfig } from '../../../support/haproxy/haproxy-output.ts';
import { haproxyVersions } from '../../../support/haproxy/versions.ts';

interface Mistake {
  readonly what: string;
  readonly haproxy?: Record<string, unknown>;
  readonly service?: Record<string, unknown>;
  /** `haproxy_server_options` of the record. */
  readonly record?: string;
  /** The section below what was published. */
  readonly local?: Record<string, unknown>;
  readonly origin: string | undefined;
  readonly said: RegExp;
}

const mistakes: readonly Mistake[] = [
  {
    what: 'a line of listen, once although it is in the frontend and in the backend',
    service: { listen: ['mode http', 'no-such thing'] },
    origin: 'services.api.haproxy.listen[1]',
    said: /^unknown keyword 'no-such'.*\(line \d+: no-such thing\)$/,
  },
  {
    what: 'a line of frontend',
    service: { frontend: ['maxconn 5', 'http-request dney'] },
    origin: 'services.api.haproxy.frontend[1]',
    said: /^'http-request' expects .*, …, but got 'dney'. Did you mean 'deny' maybe \? \(line \d+: http-request dney\)$/,
  },
  {
    what: 'a line of backend, with the nearest of the words that HAProxy lists',
    service: { backend: ['balance leastcon'] },
    origin: 'services.api.haproxy.backend[0]',
    said: /^balance only supports .* options; did you mean 'leastconn'\? \(line \d+: balance leastcon\)$/,
  },
  {
    what: 'bind_options',
    service: { bind_options: 'accept-prox' },
    origin: 'services.api.haproxy.bind_options',
    said: /unknown keyword 'accept-prox'; did you mean 'accept-proxy'/,
  },
  {
    what: 'bind_address with a port',
    service: { bind_address: '0.0.0.0:80', bind_options: 'accept-proxy' },
    origin: 'services.api.haproxy.bind_address',
    said: /invalid address: '0\.0\.0\.0:80'/,
  },
  {
    what: 'a backend that there is not, which HAProxy reports without a line',
    service: { frontend: ['acl a path /a', 'use_backend no-such if a'], listen: ['mode http'] },
    origin: 'services.api.haproxy.frontend[1]',
    said: /^Proxy 'api\.in': unable to find required use_backend: 'no-such' \(line \d+: use_backend no-such if a\)$/,
  },
  {
    what: 'a server that there is not, which HAProxy reports without a line',
    service: { backend: ['use-server no-such if TRUE'] },
    origin: 'services.api.haproxy.backend[0]',
    said: /^backend 'api' : unable to find server 'no-such'/,
  },
  {
    what: 'a table that there is not, which HAProxy reports without a line',
    service: { listen: ['stick on src table no-such'] },
    origin: 'services.api.haproxy.listen[0]',
    said: /^Proxy 'api': unable to find stick-table 'no-such'/,
  },
  {
    what: 'a section of its own, without a line',
    haproxy: { extra_sections: { 'frontend own': ['mode http', 'default_backend no-such'] } },
    origin: 'haproxy.extra_sections["frontend own"][1]',
    said: /^Proxy 'own': unable to find required default_backend: 'no-such'/,
  },
  {
    what: 'an old form that is rewritten',
    service: { backend: ['srvtimeout never'] },
    origin: 'services.api.haproxy.backend[0]',
    said: /'timeout server'/,
  },
  {
    what: 'server_options',
    service: { server_options: 'check chekc' },
    origin: 'services.api.haproxy.server_options',
    said: /unknown keyword 'chekc'; did you mean 'check'/,
  },
  {
    what: 'a record',
    record: 'no-such',
    origin: 'the record of instance i1_127.0.0.1:1 (haproxy_server_options)',
    said: /unknown keyword 'no-such'/,
  },
  {
    what: 'the record, where server_options are right',
    service: { server_options: 'check inter 2s' },
    record: 'no-such',
    origin: 'the record of instance i1_127.0.0.1:1 (haproxy_server_options)',
    said: /unknown keyword 'no-such'/,
  },
  {
    what: 'server_options, where the record is right',
    service: { server_options: 'no-such' },
    record: 'check',
    origin: 'services.api.haproxy.server_options',
    said: /unknown keyword 'no-such'/,
  },
  {
    what: 'a server that the configuration names itself',
    service: { backend: ['server own 127.0.0.1:9 chekc'] },
    origin: 'services.api.haproxy.backend[0]',
    said: /unknown keyword 'chekc'/,
  },
  {
    what: 'no key for a published line',
    service: { backend: ['balance leastcon'] },
    local: {},
    origin: undefined,
    said: /balance leastcon/,
  },
  {
    what: 'global',
    haproxy: { global: ['maxconn 10', 'maxcon 10'] },
    origin: 'haproxy.global[1]',
    said: /did you mean 'maxconn'/,
  },
  {
    what: 'defaults',
    haproxy: { defaults: ['mode http', 'timeout conect 3s'] },
    origin: 'haproxy.defaults[1]',
    said: /\(got 'conect'\); did you mean 'connect'\?/,
  },
  {
    what: 'a section of its own',
    haproxy: { extra_sections: { 'listen stats 127.0.0.1:9': ['mode http', 'stats enabel'] } },
    origin: 'haproxy.extra_sections["listen stats 127.0.0.1:9"][1]',
    said: /did you mean 'enable'\?/,
  },
  {
    what: 'the title of a section',
    haproxy: { extra_sections: { 'listn stats': ['mode http'] } },
    origin: 'haproxy.extra_sections["listn stats"]',
    said: /did you mean 'listen'/,
  },
  {
    what: 'the shared frontend',
    haproxy: { shared_frontend: ['bind 127.0.0.1:9', 'no-such thing'] },
    origin: 'haproxy.shared_frontend[1]',
    said: /no-such/,
  },
  {
    what: 'a line that a service adds to the shared frontend',
    haproxy: { shared_frontend: ['bind 127.0.0.1:9'] },
    service: { shared_frontend: ['acl a path /', 'no-such thing'] },
    origin: 'services.api.haproxy.shared_frontend[1]',
    said: /no-such/,
  },
  {
    what: 'a password, which is not shown',
    haproxy: { extra_sections: { 'listen x': ['bind 127.0.0.1:9', 'stats auht admin:hunter2'] } },
    origin: 'haproxy.extra_sections["listen x"][1]',
    said: /^(?!.*hunter2).*'auth'/,
  },
];

describe('what HAProxy refuses', () => {
  for (const version of haproxyVersions) {
    for (const { what, haproxy: top, service = {}, record, local, origin, said } of mistakes) {
      it(`is named by its key, in HAProxy ${version}: ${what}`, async (t) => {
        const haproxy = await testHaproxy(version);
        t.after(() => haproxy.close());
        const config = testConfig(haproxy, { frontend_suffix: '.in', trust_server_options: ['*'], ...top });
        const own = serviceConfig({ port: 8, ...service });
        const instances = [instance(1, record === undefined ? {} : { serverOptions: record })];
        const snapshot: Snapshot = new Map([
          [
            'api',
            {
              name: 'api',
              config: own,
              ...(local && { local: serviceConfig({ port: 8, ...local }) }),
              instances,
              seenAt: 0,
            },
          ],
        ]);
        const { text, services } = wantedText(config, snapshot);
        const checked = await withTemporaryFile(text.text, (path) =>
          checkCandidate(path, { config, host: thisHost }, new AbortController().signal),
        );
        assert.ok(checked.result === 'refused');
        const found = explainFindings(checked.findings, text, { config, services });
        assert.deepEqual(
          found.map((finding) => finding.origin),
          [origin],
        );
        assert.match(found[0]?.said ?? '', said);
        assert.doesNotMatch(found[0]?.message ?? '', /synapse-check|haproxy\.cfg/);
      });
    }
  }
});
