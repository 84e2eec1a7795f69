import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { exec } from '../../../../common/daemon/exec.ts';
import { findProgram } from '../../../../deploy/tools/debian/programs.ts';
import { modernize, rewriteSections } from '../../../../synapse/haproxy/spec/legacy-directives.ts';
import { haproxyVersions } from '../../../support/haproxy/versions.ts';
import { tempFolder } from '../../../support/temp-folder.ts';

/** Where a line belongs, the line, and what takes its place. */
const rewritten: readonly ['frontend' | 'backend' | 'global', string, string | readonly string[]][] = [
  ['frontend', 'reqadd X-Proto:\\ https', 'http-request add-header X-Proto https'],
  ['frontend', 'reqadd X-Rate:\\ 50%\\ off if TRUE', 'http-request add-header X-Rate 50%%\\ off if TRUE'],
  ['backend', 'rspadd  Cache-Control:\\ no-store', 'http-response add-header Cache-Control no-store'],
  ['frontend', 'reqidel ^X-Forwarded-For:.*', 'http-request del-header X-Forwarded-For'],
  ['backend', 'rspidel ^Server: if TRUE', 'http-response del-header Server if TRUE'],
  ['frontend', 'block if { path /private }', 'http-request deny if { path /private }'],
  ['frontend', 'clitimeout 5s', 'timeout client 5s'],
  ['backend', 'srvtimeout 5s', 'timeout server 5s'],
  ['backend', 'contimeout 5s', 'timeout connect 5s'],
  ['backend', 'redispatch', 'option redispatch'],
  ['frontend', 'option forceclose', 'option httpclose'],
  ['frontend', 'no option forceclose', 'no option httpclose'],
  ['backend', 'no redispatch', 'no option redispatch'],
  ['backend', 'no redisp', 'no option redispatch'],
  ['frontend', 'timeout clitimeout 5s', 'timeout client 5s'],
  ['backend', 'timeout srvtimeout 5s', 'timeout server 5s'],
  ['backend', 'timeout contimeout 5s', 'timeout connect 5s'],
  ['frontend', 'option independant-streams', 'option independent-streams'],
  ['backend', 'no option independant-streams', 'no option independent-streams'],
  ['frontend', 'option http-use-htx', ''],
  ['frontend', 'no option http-use-htx', ''],
  ['frontend', 'option http-tunnel', ''],
  ['backend', 'no option http-tunnel', ''],
  ['backend', 'bind-process 1', ''],
  ['frontend', 'bind 127.0.0.1:2 process 1 mss 1400', 'bind 127.0.0.1:2 mss 1400'],
  ['frontend', 'bind 127.0.0.1:3 process all/all', 'bind 127.0.0.1:3'],
  ['global', 'stats  socket /tmp/s process odd level admin', 'stats  socket /tmp/s level admin'],
  ['global', 'tune.chksize 16384', ''],
  ['global', 'nbproc 1', ''],
];

/** What has no exact successor, or needs none. */
const kept: readonly string[] = [
  'no option httpclose',
  'default option redispatch',
  'no log',
  'option accept-invalid-http-request',
  'no option accept-unsafe-violations-in-http-request',
  'no clitimeout 5s',
  'option httpchk GET /health HTTP/1.1',
  'option httpchk POST /health HTTP/1.1\\r\\nHost:\\ a\\r\\n\\r\\nbody',
  'reqirep ^Host:\\ a Host:\\ b',
  'reqidel ^X-',
  'reqdel ^Server:',
  'reqadd "X-A: b"',
  'nbproc 4',
  'bind :1 process 2',
  'bind :1 process 1/2',
  'stats socket /tmp/s process 1-2',
  'acl is_process path /a process 1',
  'option httpclose',
  'timeout client 5s',
  'blockade',
  '',
];

function linesOf(successor: string | readonly string[]): readonly string[] {
  return successor === '' ? [] : [successor].flat();
}

/** Checks with headers, which HAProxy refuses from 3.0 on, and 2.6 with a percent sign, and what takes their place. */
const checks: readonly [line: string, send: string][] = [
  ['option httpchk GET /h HTTP/1.1\\r\\nHost:\\ api', 'http-check send meth GET uri /h ver HTTP/1.1 hdr Host api'],
  ['option httpchk HEAD / HTTP/1.0\\r\\nHost:api', 'http-check send meth HEAD uri / ver HTTP/1.0 hdr Host api'],
  [
    'option httpchk GET / HTTP/1.1\\r\\nHost:\\ a.test\\r\\nUser-Agent:\\ HAProxy\\ 50%',
    'http-check send meth GET uri / ver HTTP/1.1 hdr Host a.test hdr User-Agent HAProxy\\ 50%%',
  ],
  ['option httpchk GET / "HTTP/1.1\\r\\nHost: a.test"', 'http-check send meth GET uri / ver HTTP/1.1 hdr Host a.test'],
];

/** Lines that only HAProxy 3.1 and later refuse, and what these take. */
const negations: readonly ['frontend' | 'backend', string, string][] = [
  ['frontend', 'no option accept-invalid-http-request', 'no option accept-unsafe-violations-in-http-request'],
  ['backend', 'no  option accept-invalid-http-response', 'no option accept-unsafe-violations-in-http-response'],
];

describe('old forms of lines', () => {
  for (const [, line, newer] of negations) {
    it(`'${line}' leaves the choice of the name to HAProxy`, () => {
      const { lines, notes } = modernize([line]);
      const older = line.replace('no  ', 'no ');
      assert.deepEqual(lines, ['.if version_atleast(3.1)', newer, '.else', older, '.endif']);
      assert.equal(notes.length, 1);
    });
  }

  for (const [line, send] of checks) {
    it(`'${line}' sends its headers in today's way`, () => {
      assert.deepEqual(modernize([line]).lines, ['option httpchk', send]);
    });
  }

  it('are kept where they have no exact successor', () => {
    assert.deepEqual(modernize(kept), { lines: kept, notes: [] });
  });

  for (const [, line, successor] of rewritten) {
    it(`${line} → ${linesOf(successor).join(', ') || 'nothing'}`, () => {
      const { lines, notes } = modernize(['mode http', line]);
      assert.deepEqual(lines, ['mode http', ...linesOf(successor)]);
      assert.equal(notes.length, 1);
    });
  }

  for (const version of haproxyVersions) {
    it(`are refused by HAProxy ${version}, and their successors are not`, async (t) => {
      const program = await findProgram('haproxy', { version });
      const path = join(await tempFolder(t), 'haproxy.cfg');
      const check = async (lines: readonly (readonly [string, string])[]): Promise<string> => {
        const of = (place: string) => lines.filter(([where]) => where === place).map(([, line]) => `\t${line}`);
        const text = [
          'global',
          ...of('global'),
          'defaults',
          '\tmode http',
          '\ttimeout client 1s',
          '\ttimeout server 1s',
        ];
        text.push('\ttimeout connect 1s', 'frontend f', '\tbind 127.0.0.1:1', '\tdefault_backend b', ...of('frontend'));
        await writeFile(path, [...text, 'backend b', ...of('backend'), '\tserver s 127.0.0.1:1', ''].join('\n'));
        const { code, stderr } = await exec([program, '-c', '-f', path], { timeoutMs: 10_000 });
        return code === 0 ? '' : stderr;
      };
      assert.equal(
        await check(
          rewritten.flatMap(([place, , successor]) => linesOf(successor).map((line) => [place, line] as const)),
        ),
        '',
      );
      for (const [line, send] of checks) {
        assert.equal(
          await check([
            ['backend', 'option httpchk'],
            ['backend', send],
          ]),
          '',
          send,
        );
        assert.equal((await check([['backend', line]])) === '', version === '2.6' && !line.includes('%'), line);
      }
      for (const [place, line] of negations) {
        assert.equal(await check(modernize([line]).lines.map((each) => [place, each] as const)), '', line);
        assert.equal((await check([[place, line]])) === '', version === '2.6' || version === '3.0', line);
      }
      for (const [place, line] of rewritten) {
        // 2.6 still takes them, without any effect.
        if (version === '2.6' && /^bind-process|\sprocess\s/.test(line)) continue;
        assert.notEqual(await check([[place, line]]), '', line);
      }
    });
  }
});

describe('old forms of sections', () => {
  it('moves an address on the title line to a bind line', () => {
    const { sections, notes } = rewriteSections({
      'listen stats :1937': ['stats enable'],
      'listen x': ['bind :1'],
      'backend b': [],
    });
    assert.deepEqual(sections, [
      { title: 'listen stats', lines: ['bind :1937', 'stats enable'] },
      { title: 'listen x', lines: ['bind :1'] },
      { title: 'backend b', lines: [] },
    ]);
    assert.equal(notes.length, 1);
  });
});
