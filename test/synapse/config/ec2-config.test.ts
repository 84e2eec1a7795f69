import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { exec } from '../../../common/daemon/exec.ts';
import { findProgram } from '../../../deploy/tools/debian/programs.ts';
import { collect } from '../../../synapse/collect-once.ts';
import { readSynapseConfig } from '../../../synapse/config/config.ts';
import { preview } from '../../../synapse/haproxy/preview.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { root } from '../../support/repository.ts';
import { startEc2Server } from '../../support/servers/ec2-server.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** An EC2 configuration of 2014, as it was: with its comments, for a HAProxy in a container of its own. */
const file = join(root, 'test/golden/synapse/ec2-2014.json');

/** What the SDK takes from the environment; nothing of it is in the file. */
const environment = {
  AWS_REGION: 'us-east-1',
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'EXAMPLE',
};

describe('an EC2 configuration of 2014', () => {
  it('loads unchanged and without a warning', async () => {
    const { log, lines } = recordingLog();
    const config = await readSynapseConfig(file, { env: {}, log });
    assert.deepEqual(lines, []);
    const service = config.services.get('myservice');
    assert.equal(service?.discovery.method, 'ec2tag');
    assert.equal(service.policy.portOverride, undefined, 'the source takes the ports itself');
  });

  it('yields a haproxy.cfg with both ports of each machine that old and new HAProxy accept', async (t) => {
    const folder = await tempFolder(t);
    const ec2 = await startEc2Server();
    t.after(() => ec2.close());
    const tags = { servicename: 'true' };
    ec2.answer = {
      kind: 'pages',
      pages: [
        [
          { id: 'i-1', address: '10.0.0.1', dnsName: 'ip-10-0-0-1.ec2.internal', tags },
          { id: 'i-2', address: '10.0.0.2', dnsName: 'ip-10-0-0-2.ec2.internal', tags },
        ],
      ],
    };
    const before = { ...process.env };
    Object.assign(process.env, environment, { AWS_ENDPOINT_URL: ec2.endpoint });
    t.after(() => {
      process.env = before;
    });
    const config = await readSynapseConfig(file);
    const { log } = recordingLog();
    const { snapshot, unanswered } = await collect(config, { waitMs: 10_000, log });
    assert.deepEqual(unanswered, []);
    const output = { ...config.haproxy, config_file_path: join(folder, 'none.cfg') };
    const { text, problems } = await preview(output, snapshot);
    assert.deepEqual([...problems], []);

    const servers = [...text.matchAll(/^\tserver (\S+) (\S+)( .*)?$/gm)].map(([, name, address, rest = '']) => {
      return [name, address, / backup( |$)/.test(rest), / check( |$)/.test(rest)];
    });
    assert.deepEqual(servers.toSorted(), [
      ['ip-10-0-0-1.ec2.internal_10.0.0.1:50001', '10.0.0.1:50001', false, true],
      ['ip-10-0-0-1.ec2.internal_10.0.0.1:50002', '10.0.0.1:50002', true, true],
      ['ip-10-0-0-2.ec2.internal_10.0.0.2:50001', '10.0.0.2:50001', false, true],
      ['ip-10-0-0-2.ec2.internal_10.0.0.2:50002', '10.0.0.2:50002', true, true],
    ]);
    assert.match(text, /^\tbind 0\.0\.0\.0:50003$/m);
    // No HAProxy since 2.0 takes an address on the listen line.
    assert.match(text, /^listen stats\n\tbind \S*:1937\n\tstats enable$/m);

    const candidate = join(folder, 'haproxy.cfg');
    // The user that the container has need not exist here.
    await writeFile(candidate, text.replace(/^\t(user|group) haproxy$/gm, ''));
    for (const version of ['2.6', '3.0', '3.2']) {
      const program = await findProgram('haproxy', { version });
      const { code, stdout, stderr } = await exec([program, '-c', '-f', candidate], { timeoutMs: 20_000 });
      assert.equal(code, 0, `${version}: ${stdout}${stderr}`);
    }
  });

  it('names the missing port when nothing overrides it', async (t) => {
    const folder = await tempFolder(t);
    const path = join(folder, 'synapse.json');
    const text = await readFile(file, 'utf8');
    await writeFile(path, text.replace('"server_port_override": "50001",', ''));
    await assert.rejects(readSynapseConfig(path), /services\.myservice\.discovery: backend_port_override/);
  });

  it('prefers the newer name of the port override', async (t) => {
    const folder = await tempFolder(t);
    const path = join(folder, 'synapse.json');
    const text = await readFile(file, 'utf8');
    await writeFile(
      path,
      text.replace('"haproxy": {\n// This', '"backend_port_override": 8000,\n"haproxy": {\n// This'),
    );
    const config = await readSynapseConfig(path);
    const options = config.services.get('myservice')?.discovery.options as { port: number; server_backup_port: number };
    assert.deepEqual([options.port, options.server_backup_port], [8000, 50002]);
  });
});
