import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { tlsFileProblems } from '../../../common/config/tls-files.ts';
import { thisHost } from '../../../common/host.ts';
import { makeAuthority, makeCertificate } from '../../support/servers/certificates.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const run = promisify(execFile);

interface Made {
  readonly folder: string;
  readonly at: (name: string) => string;
}

/** `ca`, `cert`, `key` belong together; `other-key` does not; the others are as their names say. */
async function makeFiles(t: TestContext): Promise<Made> {
  const folder = await tempFolder(t);
  const at = (name: string): string => join(folder, name);
  const authority = await makeAuthority(folder, 'ca');
  await makeCertificate(folder, 'own', { authority, names: ['DNS:a.test'] });
  await makeCertificate(folder, 'other', { authority, names: ['DNS:b.test'] });
  await writeFile(at('nothing'), 'nothing');
  await writeFile(at('damaged'), '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
  await selfSigned(folder, 'expired', ['-startdate', '20200101000000Z', '-enddate', '20200202000000Z']);
  await selfSigned(folder, 'future', ['-startdate', '20900101000000Z', '-enddate', '20910101000000Z']);
  const read = (name: string) => readFile(at(name), 'utf8');
  await writeFile(at('bundle'), (await read('expired.pem')) + (await read('ca.pem')));
  await run('openssl', [
    'pkcs8',
    '-topk8',
    '-in',
    at('own-key.pem'),
    '-out',
    at('locked-key.pem'),
    '-passout',
    'pass:x',
  ]);
  await copyFile(at('own.pem'), at('chain.pem'));
  await writeFile(at('chain.pem'), await read('expired.pem'), { flag: 'a' });
  return { folder, at };
}

/** A certificate with other dates than now, by a small authority in a folder of its own. */
async function selfSigned(folder: string, name: string, dates: readonly string[]): Promise<void> {
  const own = join(folder, `${name}-authority`);
  await mkdir(own);
  await writeFile(join(own, 'index'), '');
  await writeFile(
    join(own, 'config'),
    '[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\ndefault_md=sha256\nrand_serial=yes\npolicy=p\n[p]\ncommonName=supplied\n',
  );
  const cwd = { cwd: own };
  await run(
    'openssl',
    ['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`, '-keyout', 'key', '-out', 'csr'],
    cwd,
  );
  await run(
    'openssl',
    [
      'ca',
      '-batch',
      '-selfsign',
      '-config',
      'config',
      '-keyfile',
      'key',
      '-in',
      'csr',
      '-out',
      `../${name}.pem`,
      '-notext',
      ...dates,
    ],
    cwd,
  );
  await copyFile(join(own, 'key'), join(folder, `${name}-key.pem`));
}

describe('the TLS files of a configuration', () => {
  interface Case {
    readonly what: string;
    readonly value: (at: (name: string) => string) => unknown;
    readonly problems: readonly RegExp[];
  }
  const ssl = (at: (name: string) => string, ca: string, cert: string, key: string) => ({
    ssl: true,
    ssl_ca: at(ca),
    ssl_cert: at(cert),
    ssl_key: at(key),
  });
  const etcd = (tls: object | null) => ({ etcd: { hosts: ['https://a:1'], tls } });
  const cases: readonly Case[] = [
    {
      what: 'that are right',
      value: (at) => etcd({ ca: at('ca.pem'), cert: at('own.pem'), key: at('own-key.pem') }),
      problems: [],
    },
    { what: 'of which there are none', value: () => etcd(null), problems: [] },
    {
      what: 'that are missing or not PEM',
      value: (at) => etcd({ ca: at('nothing'), cert: '/nowhere/cert.pem', key: at('ca.pem') }),
      problems: [
        /^etcd\.tls\.ca: \S+ has no certificate in PEM form$/,
        /^etcd\.tls\.cert: \/nowhere\/cert\.pem does not exist$/,
        /^etcd\.tls\.key: \S+ has no private key in PEM form/,
      ],
    },
    {
      what: 'that are damaged',
      value: (at) => etcd({ ca: at('damaged') }),
      problems: [/^etcd\.tls\.ca: \S+ has a certificate that cannot be read/],
    },
    { what: 'that are a folder', value: () => etcd({ ca: '/' }), problems: [/^etcd\.tls\.ca: \/ is a folder/] },
    {
      what: 'with the key of another certificate',
      value: (at) => etcd({ cert: at('own.pem'), key: at('other-key.pem') }),
      problems: [/^etcd\.tls\.key: \S+other-key\.pem is not the key of \S+own\.pem/],
    },
    { what: 'with an encrypted key', value: (at) => etcd({ key: at('locked-key.pem') }), problems: [/is encrypted/] },
    {
      what: 'that have expired',
      value: (at) => etcd({ cert: at('expired.pem') }),
      problems: [/^etcd\.tls\.cert: \S+ the certificate CN=expired expired on Feb {1,2}2 /],
    },
    {
      what: 'that are not valid yet',
      value: (at) => etcd({ cert: at('future.pem') }),
      problems: [/CN=future is not valid before Jan {1,2}1 /],
    },
    {
      what: 'with an expired certificate in the chain',
      value: (at) => etcd({ cert: at('chain.pem') }),
      problems: [/^etcd\.tls\.cert: .*expired on/],
    },
    { what: 'with one expired authority of several', value: (at) => etcd({ ca: at('bundle') }), problems: [] },
    {
      what: 'with expired authorities only',
      value: (at) => etcd({ ca: at('expired.pem') }),
      problems: [/^etcd\.tls\.ca: .*expired on/],
    },
    {
      what: "of nerve's checks",
      value: (at) => ({
        services: {
          api: { checks: [{ type: 'tcp' }, { type: 'http', ...ssl(at, 'none', 'own.pem', 'own-key.pem') }] },
        },
      }),
      problems: [/^services\.api\.checks\[1\]\.ssl_ca: \S+ does not exist$/],
    },
    {
      what: 'of the check tls, which has no option ssl',
      value: (at) => ({ services: { api: { checks: [{ type: 'tls', ssl_ca: at('none') }] } } }),
      problems: [/^services\.api\.checks\[0\]\.ssl_ca: /],
    },
    {
      what: 'of a check that does not use them',
      value: (at) => ({ services: { api: { checks: [{ type: 'http', ssl_ca: at('none') }] } } }),
      problems: [],
    },
    {
      what: 'of ZooKeeper, below a fallback',
      value: (at) => ({
        services: {
          'a.b': {
            discovery: {
              method: 'etcd',
              fallback: { method: 'zookeeper', ...ssl(at, 'ca.pem', 'own.pem', 'other-key.pem') },
            },
          },
        },
      }),
      problems: [/^services\["a\.b"\]\.discovery\.fallback\.ssl_key: /],
    },
    {
      what: 'of one service in etcd',
      value: () => ({ services: { api: { discovery: { method: 'etcd', tls: { ca: '/nowhere' } } } } }),
      problems: [/^services\.api\.discovery\.tls\.ca: /],
    },
    {
      what: "in the options of a user's module, which may mean anything",
      value: () => ({
        services: { api: { checks: [{ type: 'module', file: '/x.mjs', options: { ssl_ca: 'yes' } }] } },
      }),
      problems: [],
    },
  ];
  it('are judged by what the daemons would find in them', async (t) => {
    const { at } = await makeFiles(t);
    for (const { what, value, problems } of cases) {
      await t.test(what, async () => {
        const found = await tlsFileProblems(value(at), thisHost.files);
        const lines = found.map(({ path, message }) => `${path}: ${message}`);
        assert.equal(lines.length, problems.length, lines.join('\n'));
        for (const [index, problem] of problems.entries()) assert.match(lines[index] ?? '', problem);
      });
    }
  });
});
