import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { exec } from '../../../../common/daemon/exec.ts';
import { findProgram } from '../../../../deploy/tools/debian/programs.ts';
import { backendLines, frontendLines, placeOf } from '../../../../synapse/haproxy/spec/listen-lines.ts';
import { suffixFor } from '../../../../synapse/haproxy/version.ts';
import { type HaproxyVersion, haproxyVersions } from '../../../support/haproxy/versions.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

describe('the place of a listen line', () => {
  const cases = {
    both: ['mode http', 'option httplog', 'acl a path /', 'http-request deny', 'some-future-directive x'],
    frontend: ['bind :80', '  Timeout   Client 5s', 'no option dontlognull', 'use_backend b if a', 'id 5'],
    backend: ['balance source', 'option httpchk GET /', 'no option redispatch', 'stick on src', 'stick-table type ip'],
  } as const;
  for (const [place, lines] of Object.entries(cases)) {
    for (const line of lines) it(`${line} → ${place}`, () => assert.equal(placeOf(line), place));
  }
});

describe('a table in listen', () => {
  for (const [line, inFrontend] of [
    ['tcp-request connection track-sc0 src', 'tcp-request connection track-sc0 src table api'],
    ['http-request track-sc1 hdr(X) if { path / }', 'http-request track-sc1 hdr(X) table api if { path / }'],
    ['http-request track-sc1 src table other', 'http-request track-sc1 src table other'],
    ['acl fast src_conn_rate gt 10', 'acl fast src_conn_rate(api) gt 10'],
    ['acl fast src_conn_rate(other) gt 10', 'acl fast src_conn_rate(other) gt 10'],
    ['acl low src_port lt 1024', 'acl low src_port lt 1024'],
    ['http-request deny if { src_http_req_rate gt 9 }', 'http-request deny if { src_http_req_rate(api) gt 9 }'],
  ] as const) {
    it(`is named in the frontend's '${line}'`, () => {
      assert.deepEqual(frontendLines(['stick-table type ip size 1k', line], 'api'), [inFrontend]);
    });
    it(`leaves '${line}' as it is when it is not there`, () => assert.deepEqual(frontendLines([line], 'api'), [line]));
  }
});

/** One line for each directive of HAProxy that a `listen` section can have; those of `-dKcfg` are added. */
const samples: readonly string[] = `
acl a path /|backlog 100|bind 127.0.0.1:1|capture cookie A len 10|capture request header X len 5|clitcpka-cnt 3
clitcpka-idle 3s|clitcpka-intvl 3s|compression algo gzip|compression type text/html|cookie A insert
declare capture request len 5|default_backend other|description hello|disabled|enabled|dispatch 127.0.0.1:1
dynamic-cookie-key x|error-log-format %ci|errorfile 503 /dev/null|errorfiles errs|errorloc 503 http://x/
errorloc302 503 http://x/|errorloc303 503 http://x/|external-check command /bin/true|external-check path /bin
filter compression|force-persist if { src 127.0.0.1 }|ignore-persist if { src 127.0.0.1 }|fullconn 100
balance roundrobin|hash-balance-factor 150|hash-type consistent|hash-preserve-affinity always
http-after-response set-header A b|http-check expect status 200|http-check send meth GET|http-check disable-on-404
http-error status 503|http-request deny if { path /x }|http-request set-header A b|http-response set-header A b
http-reuse safe|http-send-name-header X|id ID|load-server-state-from-file none|log 127.0.0.1:1 local0|log global
log-format %ci|log-format-sd [x]|log-tag x|log-steps all|max-keep-alive-queue 5|max-session-srv-conns 5|maxconn 10
mode http|monitor fail if { nbsrv(other) lt 1 }|monitor-uri /x|persist rdp-cookie|rate-limit sessions 10
redirect prefix http://x/|retries 3|retry-on all-retryable-errors|server s 127.0.0.1:1|server-state-file-name x
server-template s 1-3 127.0.0.1:1|source 127.0.0.1|srvtcpka-cnt 3|srvtcpka-idle 3s|srvtcpka-intvl 3s|stats enable
stats uri /s|stats auth a:b|stats hide-version|stats refresh 3s|stats realm x|stats show-desc|stats show-legends
stats admin if TRUE|stats http-request allow|stick on src|stick match src|stick store-request src
stick store-response src|stick-table type ip size 1k|tcp-check connect|tcp-check expect string x|tcp-check send x
tcp-request connection accept|tcp-request content accept|tcp-request inspect-delay 5s|tcp-request session accept
tcp-response content accept|tcp-response inspect-delay 5s|timeout check 5s|timeout client 5s|timeout client-fin 5s
timeout client-hs 5s|timeout connect 5s|timeout http-keep-alive 5s|timeout http-request 5s|timeout queue 5s
timeout server 5s|timeout server-fin 5s|timeout tarpit 5s|timeout tunnel 5s|transparent|unique-id-format %ci
unique-id-header X|use-fcgi-app app|use-server s0 if TRUE|use_backend other if TRUE|default-server inter 2s|guid gID
quic-initial accept|be-unpublished|force-be-switch if TRUE|option forwardfor|option originalto
option httpclose|option http-keep-alive|option http-server-close|option httplog|option httpslog|option tcplog
option tcpka|option httpchk|option tcp-check|option mysql-check|option pgsql-check user x|option redis-check
option smtpchk|option ldap-check|option ssl-hello-chk|option spop-check|option external-check|option redispatch
tcp-request content switch-mode http|http-request use-service prometheus-exporter|http-response set-timeout server 3s
http-request set-timeout server 3s|http-request wait-for-body time 1s|http-response wait-for-body time 1s
http-response cache-store c|http-request cache-use c|http-response capture res.hdr(A) id 0
http-request capture req.hdr(A) len 5|http-request normalize-uri fragment-strip|http-request set-dst src
tcp-request content set-dst src|http-request return status 200|tcp-request session set-src src
`
  .trim()
  .split(/[|\n]/);

/** A proxy in a file, and the line of `listen` that it is about. */
interface Proxy {
  readonly line: string;
  readonly text: string;
}

/** Lines of `listen` → what HAProxy says of their proxies; other complaints are under an empty line. */
async function complaints(program: string, path: string, proxies: readonly Proxy[]): Promise<Map<string, string>> {
  const owners: string[] = [];
  for (const { line, text } of [{ line: '', text: head }, ...proxies]) {
    for (let count = text.split('\n').length - 1; count > 0; count -= 1) owners.push(line);
  }
  await writeFile(path, [head, ...proxies.map(({ text }) => text)].join(''));
  const { stdout, stderr } = await exec([program, '-c', '-f', path], { timeoutMs: 60_000 });
  const found = new Map<string, string>();
  for (const said of `${stderr}\n${stdout}`.split('\n')) {
    if (
      !/^\[(ALERT|WARNING)\]/.test(said) ||
      /Fatal errors|Error\(s\) found|deprecated|experimental|has the same name/.test(said)
    )
      continue;
    const number = /haproxy\.cfg:(\d+)\]/.exec(said)?.[1];
    const name = /'(p\d+)(?:\.in)?'|\b(p\d+)\b/.exec(said);
    const index = Number((name?.[1] ?? name?.[2])?.slice(1));
    found.set(proxies[index]?.line ?? owners[Number(number) - 1] ?? '', said);
  }
  return found;
}

const head = `global
\texpose-experimental-directives
defaults
\tmode http
\ttimeout client 1s
\ttimeout server 1s
\ttimeout connect 1s
http-errors errs
cache c
\ttotal-max-size 4
\tmax-age 240
fcgi-app app
\tdocroot /x
backend other
\tserver s 127.0.0.1:2
`;

describe('the split of listen', { concurrency: 2 }, () => {
  for (const version of haproxyVersions) {
    it(`pleases HAProxy ${version} with every line that it takes in a listen section`, (t) => pleases(t, version));

    it(`is tried with every directive that HAProxy ${version} knows in a listen section`, async () => {
      const program = await findProgram('haproxy', { version });
      const { stdout } = await exec([program, '-dKcfg', '-c', '-f', '/dev/null'], { timeoutMs: 60_000 });
      const listed = /^listen\n((?:\t.*\n)+)/m.exec(stdout)?.[1] ?? '';
      const directives = new Set(
        [...listed.matchAll(/^\t(\S+)(?: ([a-z][\w-]*))?/gm)].map(([, one = '', two]) => directive(one, two)),
      );
      assert.ok(directives.size > 20, stdout);
      const tried = (name: string): boolean => samples.some((line) => line === name || line.startsWith(`${name} `));
      assert.deepEqual(
        [...directives].filter((name) => !tried(name) && !Object.hasOwn(untried, name)),
        [],
      );
    });
  }
});

/** Directives with a second word of their own, which may belong elsewhere than the first one's others. */
const families: ReadonlySet<string> = new Set([
  'capture',
  'compression',
  'external-check',
  'monitor',
  'stick',
  'timeout',
]);

function directive(first: string, second: string | undefined): string {
  return second !== undefined && families.has(first) ? `${first} ${second}` : first;
}

/** Directives without a sample → why. */
const untried: Readonly<Record<string, string>> = {
  option: 'all of them are read from the list with their places',
  'default-server': 'its words are those of server',
  clitimeout: 'refused since HAProxy 2.1, and rewritten before',
  contimeout: 'refused since HAProxy 2.1, and rewritten before',
  srvtimeout: 'refused since HAProxy 2.1, and rewritten before',
  'ssl-f-use': 'needs certificates',
};

async function pleases(t: Parameters<typeof tempFolder>[0], version: HaproxyVersion): Promise<void> {
  const program = await findProgram('haproxy', { version });
  const path = join(await tempFolder(t), 'haproxy.cfg');
  const known = await exec([program, '-dKcfg', '-c', '-f', '/dev/null'], { timeoutMs: 60_000 });
  const flagged = [...known.stdout.matchAll(/^\t(option \S+) \[ (.*?) *\]$/gm)];
  assert.ok(flagged.length > 20, known.stdout);
  // What HAProxy says of its own options.
  const places = { 'FE BE': 'both', FE: 'frontend', BE: 'backend' } as const;
  for (const [, option = '', flags = ''] of flagged) {
    const place = places[flags.replace(/ ?HTTP/, '') as keyof typeof places];
    // 3.4 takes it in a frontend too, where older ones warn.
    if (option !== 'option abortonclose') assert.equal(placeOf(option), place, option);
  }
  const servers = '\tserver s0 127.0.0.1:3\n';
  let lines: readonly string[] = [...new Set([...samples, ...flagged.map(([, option = '']) => option)])];
  const all = lines.length;
  // HAProxy looks further only when it has understood all lines.
  for (let refused = 1; refused > 0; ) {
    const listens = lines.map((line, index) => ({
      line,
      text: `listen p${index}\n\tbind 127.0.0.1:9\n${servers}\t${line.replace('ID', String(index + 1))}\n`,
    }));
    const said = await complaints(program, path, listens);
    assert.equal(said.get(''), undefined);
    refused = said.size;
    lines = lines.filter((line) => !said.has(line));
  }
  const suffix = suffixFor(version);
  const splits = lines.map((line, index) => {
    const own = line.replace('ID', String(index + 1));
    const [frontend, backend] = [frontendLines([own], `p${index}`), backendLines([own])].map((part) =>
      part.map((text) => `\t${text}\n`).join(''),
    );
    const text = `frontend p${index}${suffix}\n\tbind 127.0.0.1:9\n${frontend}\tdefault_backend p${index}\nbackend p${index}\n${servers}${backend}`;
    return { line, text };
  });
  assert.deepEqual([...(await complaints(program, path, splits))], []);
  assert.ok(lines.length > all * 0.8, `HAProxy ${version} takes only ${lines.length} of ${all} lines`);
}
